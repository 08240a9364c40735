"""The session store: rows, credits and files, opened and closed together."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from wearon_cli.core.ledger import Ledger
from wearon_cli.core.session import Sessions
from wearon_cli.core.storage import Storage


async def sees_all() -> None:
    """Always passes: every row is visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStore:
    """Supabase, or the local stack's SQLite file and folder."""

    sessions: Sessions
    ledger: Ledger
    storage: Storage
    #: Raises `ConfigError` when only some of the rows are visible. A local file shows all.
    require_whole_view: Callable[[], Awaitable[None]] = sees_all
