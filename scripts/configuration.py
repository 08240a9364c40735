"""
Write docs/configuration.md from the fields of Settings: `python -m scripts.configuration`.

A test compares the two, so the page is never stale.
"""

from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from wearon_cli.core.settings import PRODUCTION_NAMES, Settings

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
#: Set only by our own processes, for each other.
INNER = frozenset({"ready_fd", "local_dir"})
HEAD = """# Configuration

Settings come from the environment and from a `.env` file in the working folder, or from the file
that `WEARON_ENV_FILE` names; the environment overrides the file, and the options of a command
override both. Written by `python -m scripts.configuration` from
`wearon_cli/core/settings.py`.

The settings must fit together, which is checked at start: the waits of one attempt must fit into
its budget, a lease must last for three renewals, a crashed worker's job must be found within 45 s,
and the drain must end before the container is killed.

| variable | default | meaning |
|---|---|---|
"""


def environment_name(name: str, field: FieldInfo) -> str:
    """The name of the variable."""
    alias = field.validation_alias
    return alias if isinstance(alias, str) else f"WEARON_{name.upper()}"


def page() -> str:
    """The whole page."""
    rows = [
        f"| `{environment_name(name, field)}` | {_default(name, field)} | {_meaning(field)} |"
        for name, field in Settings.model_fields.items()
        if name not in INNER
    ]
    return HEAD + "\n".join(rows) + "\n"


def _default(name: str, field: FieldInfo) -> str:
    if environment_name(name, field) in PRODUCTION_NAMES:
        return "required"
    value: Any = field.default
    if value is PydanticUndefined or value is None or value == ():
        return ""
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"`{value}`"


def _meaning(field: FieldInfo) -> str:
    limits = [
        f"{word} {getattr(limit, attribute):g}"
        for limit in field.metadata
        for attribute, word in (("ge", "at least"), ("gt", "above"), ("le", "at most"))
        if getattr(limit, attribute, None) is not None
    ]
    text = (field.description or "").replace("|", "\\|")
    return f"{text} ({', '.join(limits)})" if limits else text


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
