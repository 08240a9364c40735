"""The live screen of `wearon status`, and its keys."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.text import Text

from wearon_cli.cli.looks import Tone
from wearon_cli.cli.session_table import sessions_table
from wearon_cli.cli.status_table import Look, status_table
from wearon_cli.core.operator.inspector import Listed

HELP: Final = "q quit   p pause   up, down, enter a failure"
HELP_BACK: Final = "q, enter back"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The state of the live screen."""

    look: Look
    is_paused: bool = False
    selected: int = 0
    session: Sequence[RenderableType] | None = None  # one failure, instead of everything else

    @property
    def failure(self) -> Listed | None:
        """The selected failure."""
        found = self.look.failures
        return found[min(self.selected, len(found) - 1)] if found else None


def screen_of(view: View) -> RenderableType:
    """The whole screen."""
    if view.session is not None:
        return Group(*view.session, "", Text(HELP_BACK, style="dim"))
    parts: list[RenderableType] = [status_table(view.look), ""]
    if view.look.failures:
        parts += [sessions_table(view.look.failures, selected=view.failure), ""]
    paused = Tone.HALTED.text("paused") if view.is_paused else Text("")
    return Group(*parts, Text.assemble((HELP, "dim"), "   ", paused))


async def live(
    look: Callable[[], Awaitable[Look]],
    session: Callable[[str], Awaitable[Sequence[RenderableType]]],
    console: Console,
    *,
    every_s: float,
) -> None:
    """
    Refresh the screen until `q`.

    Args:
        look: Reads the state once.
        session: Returns what is known about one session, as lines to show.
        console: A terminal.
        every_s: Pause between two reads.
    """
    from rich.live import Live

    from wearon_cli.cli.keyboard import keyboard

    with keyboard() as keys, Live(console=console, screen=True, auto_refresh=False) as screen:
        view = View(look=await look())
        while True:
            screen.update(screen_of(view), refresh=True)
            key = await keys.next(every_s)
            if key == "q" and view.session is None:
                return
            if key is not None:
                view = await _after(key, view, session)
            elif not view.is_paused and view.session is None:
                view = replace(view, look=await look())


async def _after(
    key: str, view: View, session: Callable[[str], Awaitable[Sequence[RenderableType]]]
) -> View:
    """Apply a key."""
    if view.session is not None:
        return replace(view, session=None) if key in {"q", "enter", "escape"} else view
    last = max(0, len(view.look.failures) - 1)
    match key:
        case "p":
            return replace(view, is_paused=not view.is_paused)
        case "up":
            return replace(view, selected=max(0, min(view.selected, last) - 1))
        case "down":
            return replace(view, selected=min(last, view.selected + 1))
        case "enter" if view.failure is not None:
            return replace(view, session=await session(view.failure.session.session_id))
    return view
