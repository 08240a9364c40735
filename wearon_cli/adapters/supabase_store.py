"""Rows, credits and files in Supabase, opened and closed together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from wearon_cli.adapters.supabase_client import OnCall, Supabase, connect
from wearon_cli.adapters.supabase_ledger import SupabaseLedger
from wearon_cli.adapters.supabase_sessions import SupabaseSessions
from wearon_cli.adapters.supabase_storage import SupabaseStorage
from wearon_cli.core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class SupabaseStore:
    """The three ports over one shared client."""

    supabase: Supabase
    sessions: SupabaseSessions
    ledger: SupabaseLedger
    storage: SupabaseStorage


@asynccontextmanager
async def open_supabase(
    settings: Settings, *, on_call: OnCall | None = None
) -> AsyncIterator[SupabaseStore]:
    """
    Open the store of these settings. Sends nothing: `supabase_checks.check_store` does.

    Args:
        settings: SUPABASE_URL, its key, the bucket and the time limit.
        on_call: Hears of every request sent, for benchmarks and metrics. Must not block.

    Raises:
        ConfigError: SUPABASE_URL or its key is not set, or the address is none.
    """
    async with connect(settings, on_call=on_call) as supabase:
        yield SupabaseStore(
            supabase=supabase,
            sessions=SupabaseSessions(supabase),
            ledger=SupabaseLedger(supabase),
            storage=SupabaseStorage(supabase, bucket=settings.bucket),
        )
