"""
A compose file as the engine reads it: with variables filled in, and the services that start without
a profile.

The part of the format that deploy/ uses: ${NAME}, ${NAME:-default}, ${NAME:?message}.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

_VARIABLE: Final = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


def read_env(text: str) -> dict[str, str]:
    """An --env-file: lines of NAME=VALUE."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def read_compose(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """
    The file with its variables filled in.

    Raises:
        KeyError: A required variable is not set; the message is the file's own.
    """

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        given = variables.get(name, "")
        if kind == ":?" and not given:
            raise KeyError(f"{name}: {rest}")
        return given or (rest if kind == ":-" else "")

    document: dict[str, Any] = _filled(yaml.safe_load(path.read_text("utf-8")), value)
    return document


def started(compose: Mapping[str, Any], *profiles: str) -> dict[str, Any]:
    """The services that `up` starts."""
    return {
        name: service
        for name, service in compose["services"].items()
        if not service.get("profiles") or set(service["profiles"]) & set(profiles)
    }


def _filled(part: Any, value: Any) -> Any:
    if isinstance(part, dict):
        return {name: _filled(each, value) for name, each in part.items()}
    if isinstance(part, list):
        return [_filled(each, value) for each in part]
    return _VARIABLE.sub(value, part) if isinstance(part, str) else part
