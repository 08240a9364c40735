"""
Write docs/cli.md from the commands themselves: `python -m scripts.command_pages`.

A test compares the two, so the page is never stale.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from wearon_cli.app import COMMANDS, Deferred

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """# Commands

Every command with its arguments, options and environment variables, as `wearon COMMAND --help`
shows them. Written by `python -m scripts.command_pages`. The exit codes are in
[errors.md](errors.md), the answers to `--json` in [json-output.md](json-output.md).

Every command takes `--help` (`-h`) and `--json` (`WEARON_JSON`). `wearon --version` prints the
version; `wearon --install-completion` sets up completion in your shell.
"""
#: A help record's end: "[env var: NAME; default: VALUE; required]".
FACTS = re.compile(r"  \[([^\[\]]*)\]$")


def page() -> str:
    """The whole page, by the panels of `wearon --help`."""
    panels = dict.fromkeys(entry.panel for entry in COMMANDS.values())
    return HEAD + "".join(
        f"\n## {panel}\n" + "".join(map(_section, _commands_of(panel))) for panel in panels
    )


def _commands_of(panel: str) -> Iterator[Any]:
    """A context for each command of a panel; a group's commands one by one."""
    for name, entry in COMMANDS.items():
        if entry.panel != panel:
            continue
        command = Deferred(name, entry).load()
        prefix = f"WEARON_{name}".upper().replace("-", "_")
        parent = typer.Context(command, info_name=f"wearon {name}", auto_envvar_prefix=prefix)
        if not isinstance(command, TyperGroup):
            yield parent
            continue
        for each in command.commands.values():
            yield typer.Context(each, info_name=each.name, parent=parent)


def _section(context: Any) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    rows = [_row(param, context) for param in command.params if not _is_common(param)]
    table = "| option | meaning | environment |\n|---|---|---|\n" + "".join(rows) if rows else ""
    parts = (f"### `{context.command_path}`", f"    {_plain(usage)}", _prose(command.help), table)
    return "\n" + "\n\n".join(parts)


def _is_common(param: Any) -> bool:
    return "--json" in getattr(param, "opts", ())


def _plain(usage: str) -> str:
    """Usage with arguments in capitals, as in manual pages: `{person}` becomes `PERSON`."""
    return re.sub(r"\{(\w+)\}|\[(\w+)\]", _capitals, usage)


def _capitals(match: re.Match[str]) -> str:
    required, optional = match.groups()
    return required.upper() if required else f"[{optional.upper()}]"


def _prose(text: str) -> str:
    """A docstring as Markdown: indented blocks are examples and become code."""
    parts = [
        "\n".join(f"    {line.strip()}" for line in part.splitlines())
        if part.startswith("  ")
        else part.replace("<", "&lt;")
        for part in text.split("\n\n")
    ]
    return "\n\n".join(parts)


def _row(param: Any, context: Any) -> str:
    names, text = param.get_help_record(context)
    facts = FACTS.search(text)
    variable = ""
    notes: list[str] = []
    for fact in facts.group(1).split("; ") if facts else ():
        if fact.startswith("env var: "):
            variable = f"`{fact.removeprefix('env var: ')}`"
        else:
            notes.append(fact)
    said = FACTS.sub("", text) + (f" ({'; '.join(notes)})" if notes else "")
    return f"| `{_cell(names)}` | {_cell(said).replace('<', '&lt;')} | {variable} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
