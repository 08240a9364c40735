"""Shows the pictures of one session: saved to files, in the terminal, or in a viewer."""

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.text import Text

from wearon_cli.cli.output import note, stdout_console
from wearon_cli.core.errors import InputError, ObjectNotFound, PictureProblem
from wearon_cli.core.operator.inputs import InputKind, InputPicture

if TYPE_CHECKING:
    from PIL.Image import Image

    from wearon_cli.core.operator.inspector import SessionReport
    from wearon_cli.core.settings import Settings
    from wearon_cli.core.storage import Storage

RESULT: Final = "result"
#: Size of the strip in a terminal: height and gaps in pixels, largest width in characters.
STRIP_PX: Final = 320
GAP_PX: Final = 8
STRIP_COLUMNS: Final = 76
#: Opens a file with the desktop's own viewer, where there is a desktop.
VIEWERS: Final = ("open",) if sys.platform == "darwin" else ("xdg-open",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A picture of a session, on disk."""

    kind: str  # an `InputKind`, with a number from the second accessory on, or `RESULT`
    path: Path


async def save_pictures(
    report: "SessionReport",
    inputs: Sequence[InputPicture],
    storage: "Storage",
    folder: Path | None,
) -> list[Saved]:
    """
    Save a session's stored pictures unchanged.

    Args:
        report: The session.
        inputs: Its input pictures; those on other servers are not downloaded.
        storage: Where they are stored.
        folder: Made when missing; None: a new one that only this user can read.

    Raises:
        InputError: There is no picture, or the folder cannot be written to.
    """
    places = [*_named(inputs), *([(RESULT, report.session.result_path)] * report.is_stored)]
    found: list[tuple[str, bytes]] = []
    for kind, path in places:
        try:
            found.append((kind, await storage.get(path)))
        except ObjectNotFound:
            note(f"{kind}: no longer stored")
    if not found:
        raise InputError(
            "no pictures of this session are stored", hint="the shopper can upload them again"
        )
    target = folder or Path(tempfile.mkdtemp(prefix="wearon-session-"))
    session_id = report.session.session_id
    return [_written(target, session_id, kind, data) for kind, data in found]


async def shown(saved: Sequence[Saved], settings: "Settings", *, opens: bool) -> list[object]:
    """
    What to print: the pictures where the terminal can show them, links to their files everywhere.

    Args:
        saved: The pictures.
        settings: Limits of what is decoded.
        opens: Start the desktop's viewer where the terminal cannot show them.
    """
    from wearon_cli.cli.terminal_graphics import ask_terminal, inline

    lines: list[object] = []
    graphics = ask_terminal()
    if graphics is not None and (strip := await _strip(saved, settings)):
        columns = min(STRIP_COLUMNS, stdout_console().width)
        lines.append(inline(strip, graphics, columns=columns))
    elif opens:
        _open_viewer(saved)
    return [*lines, *map(_link, saved)]


def _named(inputs: Sequence[InputPicture]) -> list[tuple[str, str]]:
    """Names and paths of those in our bucket."""
    named, accessories = [], 0
    for each in inputs:
        accessories += each.kind is InputKind.ACCESSORY
        number = f"-{accessories}" if each.kind is InputKind.ACCESSORY and accessories > 1 else ""
        if each.path is not None:
            named.append((f"{each.kind.value}{number}", each.path))
    return named


def _written(folder: Path, session_id: str, kind: str, data: bytes) -> Saved:
    path = folder / f"{session_id}-{kind}.{_ending(data)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as exc:
        raise InputError(f"cannot write {path}: {exc.strerror}") from exc
    return Saved(kind=kind, path=path.resolve())


def _ending(data: bytes) -> str:
    from wearon_cli.core.pictures.headers import read_header

    try:
        return read_header(data).kind.content_type.removeprefix("image/").replace("jpeg", "jpg")
    except PictureProblem:
        return "bin"


def _link(saved: Saved) -> RenderableType:
    """A link where the terminal supports links, and always the path. Never the address in
    storage.
    """
    path = Text(str(saved.path), style=f"link {saved.path.as_uri()}", no_wrap=True)
    line = Text.assemble((f"{saved.kind:<12}", "dim"), path, no_wrap=True, overflow="ignore")
    return Group(line)  # Rich would wrap the text by itself


def _open_viewer(saved: Sequence[Saved]) -> None:
    program = next(filter(None, map(shutil.which, VIEWERS)), None)
    if program is None:
        note("there is no image viewer on this machine; the files were saved")
        return
    for each in saved:
        subprocess.Popen(  # noqa: S603 - the desktop's own program, with a file of ours
            [program, str(each.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


async def _strip(saved: Sequence[Saved], settings: "Settings") -> "Image | None":
    """All pictures side by side. Untrusted pictures are decoded in a separate process."""
    from PIL import Image

    from wearon_cli.adapters.pixels.processes import PixelProcesses

    pixels, cards = PixelProcesses(children=1), []
    try:
        for each in saved:
            try:
                made = await pixels.prepare(each.path.read_bytes(), max_px=settings.max_picture_px)
            except PictureProblem as exc:
                note(f"{each.kind}: {exc}")
                continue
            with Image.open(io.BytesIO(made.jpeg)) as picture:
                width_px = max(1, round(picture.width * STRIP_PX / picture.height))
                cards.append(picture.convert("RGB").resize((width_px, STRIP_PX)))
    finally:
        await pixels.aclose()
    if not cards:
        return None
    width_px = sum(card.width for card in cards) + GAP_PX * (len(cards) - 1)
    strip = Image.new("RGB", (width_px, STRIP_PX), "white")
    left_px = 0
    for card in cards:
        strip.paste(card, (left_px, 0))
        left_px += card.width + GAP_PX
    return strip
