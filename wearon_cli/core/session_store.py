"""The session store: rows, credits and files, opened and closed together."""

from dataclasses import dataclass

from wearon_cli.core.ledger import Ledger
from wearon_cli.core.session import Sessions
from wearon_cli.core.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStore:
    """Supabase, or the local stack's SQLite file and folder."""

    sessions: Sessions
    ledger: Ledger
    storage: Storage
