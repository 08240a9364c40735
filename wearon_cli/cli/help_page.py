"""Shows options on a help page as they are typed, not with Python's types."""

from typing import Any, Final

#: Typer's names of types, and ours. A flag has no value.
_WORDS: Final = {
    "bool": "",
    "str": "TEXT",
    "int": "N",
    "int range": "N",
    "float": "NUMBER",
    "float range": "NUMBER",
    "path": "PATH",
    "file": "FILE",
    "dir": "FOLDER",
    "UUID": "ID",
    "list[str]": "TEXT...",
    "list[Path]": "PATH...",
}


def make_plain(param: Any) -> None:
    """Let the help page show a parameter's type and default as they are typed."""
    typers = param.display_type
    param.display_type = lambda ctx: _words(typers(ctx))
    for name in ("default", "min", "max"):
        number = getattr(param, name, None)
        if isinstance(number, float) and number.is_integer():
            setattr(param, name, int(number))  # 600, not 600.0


def _words(shown: str) -> str:
    label = shown.removeprefix("<").removesuffix(">")
    return _WORDS.get(label, label)
