"""The session store in Supabase."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from wearon_cli.adapters.supabase.client import OnCall, Supabase, connect
from wearon_cli.adapters.supabase.key_role import require_whole_view
from wearon_cli.adapters.supabase.ledger import SupabaseLedger
from wearon_cli.adapters.supabase.sessions import SupabaseSessions
from wearon_cli.adapters.supabase.storage import SupabaseStorage
from wearon_cli.core.session_store import SessionStore
from wearon_cli.core.settings import Settings


def session_store(supabase: Supabase, settings: Settings) -> SessionStore:
    """The three ports over one shared client."""
    return SessionStore(
        sessions=SupabaseSessions(supabase),
        ledger=SupabaseLedger(supabase),
        storage=SupabaseStorage(supabase, bucket=settings.bucket),
        require_whole_view=partial(require_whole_view, supabase),
    )


@asynccontextmanager
async def open_supabase(
    settings: Settings, *, on_call: OnCall | None = None
) -> AsyncIterator[SessionStore]:
    """
    Open the store of these settings. Sends nothing: `checks.check_store` does.

    Args:
        settings: SUPABASE_URL, its key, the bucket and the time limit.
        on_call: Called for every request sent, for benchmarks and metrics. Must not block.

    Raises:
        ConfigError: SUPABASE_URL or its key is not set, or the address is not a URL.
    """
    async with connect(settings, on_call=on_call) as supabase:
        yield session_store(supabase, settings)
