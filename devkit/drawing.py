"""Renders text at a given width, without a terminal."""

import io

from rich.console import Console, RenderableType


def drawn(shown: RenderableType, *, width: int, no_color: bool = True) -> list[str]:
    """Its lines, as `wearon` prints them on a terminal of this width."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=True,
        no_color=no_color,
        color_system=None if no_color else "standard",
    )
    console.print(shown, crop=False)
    return [line.rstrip() for line in out.getvalue().splitlines()]
