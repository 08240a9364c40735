"""Faults of a Supabase project are found at start and named, with a hint."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from devkit.servers.supabase import ANON_KEY, BUCKET, SupabaseServer, key_for
from devkit.stores import settings_for
from wearon_cli.adapters.supabase.checks import FUNCTIONS, TABLES, check_store, require_store
from wearon_cli.adapters.supabase.client import connect as connect_supabase
from wearon_cli.core.errors import ConfigError, StoreUnavailable
from wearon_cli.core.operator.checks import Finding, faults

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def found(server: SupabaseServer, **changes: object) -> list[Finding]:
    settings = settings_for(server, **changes)
    async with connect_supabase(settings) as supabase:
        return await check_store(supabase, settings)


@contextmanager
def changed(server: SupabaseServer, there: str, back: str) -> Iterator[None]:
    """Change the schema for a while."""
    server.run(there)
    server.reload_schema()
    try:
        yield
    finally:
        server.run(back)
        server.reload_schema()


async def test_a_healthy_store_passes_and_nothing_is_changed(
    supabase_server: SupabaseServer,
) -> None:
    count = (
        "SELECT (SELECT count(*) FROM credit_transactions), "
        "(SELECT count(*) FROM store_credit_transactions), (SELECT sum(balance) FROM user_credits)"
    )
    before = supabase_server.run(count)
    findings = await found(supabase_server)
    assert faults(findings) == []
    assert len(findings) == 1 + len(TABLES) + len(FUNCTIONS) + 1
    assert supabase_server.run(count) == before
    settings = settings_for(supabase_server)
    async with connect_supabase(settings) as supabase:
        await require_store(supabase, settings)


@pytest.mark.parametrize(
    "key", [ANON_KEY, "sb_publishable_abc", key_for("service_role", "x" * 40), "nonsense"]
)
async def test_a_wrong_key_stops_the_start_and_is_not_shown(
    supabase_server: SupabaseServer, key: str
) -> None:
    settings = settings_for(supabase_server, supabase_service_role_key=SecretStr(key))
    async with connect_supabase(settings) as supabase:
        with pytest.raises(ConfigError) as refusal:
            await require_store(supabase, settings)
    assert "SUPABASE_SERVICE_ROLE_KEY" in refusal.value.hint
    assert key not in f"{refusal.value} {refusal.value.hint}"


async def test_a_key_that_does_not_say_its_role_is_checked_by_what_it_may_do(
    supabase_server: SupabaseServer,
) -> None:
    supabase_server.run("GRANT anon TO authenticator; CREATE ROLE guest NOLOGIN")
    supabase_server.run("GRANT guest TO authenticator; GRANT anon TO guest")
    wrong = faults(
        await found(supabase_server, supabase_service_role_key=SecretStr(key_for("guest")))
    )
    assert wrong
    assert "SUPABASE_SERVICE_ROLE_KEY" in wrong[0].hint


@pytest.mark.parametrize("column", ["estimated_cost_usd", "completed_at"])
async def test_a_missing_column_is_named(supabase_server: SupabaseServer, column: str) -> None:
    table = "store_generation_sessions"
    rename = f"ALTER TABLE {table} RENAME COLUMN"
    with changed(
        supabase_server, f"{rename} {column} TO other_name", f"{rename} other_name TO {column}"
    ):
        (wrong,) = faults(await found(supabase_server))
    assert wrong.name == f"table {table}"
    assert wrong.detail == f"missing columns: {column}"
    assert wrong.hint


async def test_a_missing_table_is_named(supabase_server: SupabaseServer) -> None:
    with changed(
        supabase_server,
        "ALTER TABLE credit_transactions RENAME TO other_name",
        "ALTER TABLE other_name RENAME TO credit_transactions",
    ):
        wrong = faults(await found(supabase_server))
    assert "table credit_transactions" in [finding.name for finding in wrong]


@pytest.mark.parametrize("function", list(FUNCTIONS))
async def test_a_missing_function_is_named(supabase_server: SupabaseServer, function: str) -> None:
    with changed(
        supabase_server,
        f"ALTER FUNCTION {function} RENAME TO other_name",
        f"ALTER FUNCTION other_name RENAME TO {function}",
    ):
        (wrong,) = faults(await found(supabase_server))
    assert wrong.name == f"function {function}"


async def test_a_missing_bucket_is_named(supabase_server: SupabaseServer) -> None:
    (wrong,) = faults(await found(supabase_server, bucket="elsewhere"))
    assert wrong.name == "bucket elsewhere"
    assert "WEARON_BUCKET" in wrong.hint
    assert BUCKET not in wrong.name


async def test_an_outage_is_not_a_config_error(supabase_server: SupabaseServer) -> None:
    with supabase_server.door.failing("unavailable"), pytest.raises(StoreUnavailable):
        await found(supabase_server)
