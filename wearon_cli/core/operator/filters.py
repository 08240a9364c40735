"""Checks filters of sessions: an invalid filter is an error, not an empty result."""

from collections import Counter
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from wearon_cli.core import errors
from wearon_cli.core.operator.inspector import UNKNOWN
from wearon_cli.core.session import Session

#: Errors of commands: no job fails with these.
_OF_COMMANDS: Final = (
    errors.ChartUnusable,
    errors.ConfigError,
    errors.ConsentMissing,
    errors.Interrupted,
    errors.LeaseLost,
    errors.LetterNotFound,
    errors.NeedsAPerson,
    errors.PhotoRefused,
    errors.RoleFailed,
    errors.TryOnFailed,
    errors.Unhealthy,
)
#: Most stores and users suggested when the wanted one has no sessions.
MOST_NEAR: Final = 3
#: Ids with this many leading characters in common count as similar.
NEAR_CHARS: Final = 4


def job_error_codes() -> tuple[str, ...]:
    """Every class of error that a session can fail with."""
    kinds = (kind for kind in errors.error_classes() if not issubclass(kind, _OF_COMMANDS))
    return (*sorted({kind.code for kind in kinds}), UNKNOWN)


def checked_error_class(text: str | None) -> str | None:
    """
    A class of error, by its code in the records. None: no filter.

    Raises:
        InputError: There is no such class; the hint lists all of them.
    """
    if text is None:
        return None
    name, codes = text.strip().lower().replace("-", "_"), job_error_codes()
    if name in codes:
        return name
    near = get_close_matches(name, codes, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise errors.InputError(
        f"there is no error class {text!r}", hint=f"{meant}Error classes: {', '.join(codes)}"
    )


def near_owners(wanted: str, rows: Iterable[Session]) -> list[str]:
    """
    Stores and users with an id similar to the wanted one; if there is none, those with the most
    sessions. Empty when the wanted one is among them, or there are no sessions.
    """
    counts = Counter(row.owner_id for row in rows)
    if wanted in counts:
        return []
    begin = wanted[:NEAR_CHARS].lower()
    near = [owner for owner, _ in counts.most_common() if begin and owner.startswith(begin)]
    near = near or get_close_matches(wanted.lower(), counts, n=MOST_NEAR)
    return (near or [owner for owner, _ in counts.most_common()])[:MOST_NEAR]
