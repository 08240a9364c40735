"""A key that sees only some of the rows is refused before anything is reported."""

from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from devkit.servers.supabase import ANON_KEY, SERVICE_KEY, SupabaseServer, key_for
from devkit.stores import settings_for
from wearon_cli.adapters.supabase import key_role
from wearon_cli.adapters.supabase.client import connect
from wearon_cli.core.errors import ConfigError, StoreUnavailable

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def settings(key: str) -> object:
    return SimpleNamespace(supabase_service_role_key=SecretStr(key))


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(ANON_KEY, id="anon"),
        pytest.param(key_for("authenticated"), id="a signed-in user"),
        pytest.param("sb_publishable_abc", id="publishable"),
    ],
)
def test_a_key_with_another_role_is_refused_at_once(key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        key_role.require_service_role(settings(key))  # type: ignore[arg-type]
    assert "SUPABASE_SERVICE_ROLE_KEY" in refused.value.hint
    assert key not in str(refused.value)


@pytest.mark.parametrize("key", [SERVICE_KEY, "sb_secret_abc", "opaque"])
def test_a_key_that_may_be_right_is_checked_further(key: str) -> None:
    key_role.require_service_role(settings(key))  # type: ignore[arg-type]


async def test_the_service_role_sees_everything_and_the_check_writes_nothing(
    supabase_server: SupabaseServer,
) -> None:
    before = supabase_server.run("SELECT count(*) FROM generation_sessions")
    async with connect(settings_for(supabase_server)) as supabase:
        await key_role.require_whole_view(supabase)
    assert supabase_server.run("SELECT count(*) FROM generation_sessions") == before


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_a_key_subject_to_row_level_security_is_detected(
    supabase_server: SupabaseServer, role: str
) -> None:
    changed = settings_for(supabase_server, supabase_service_role_key=SecretStr(key_for(role)))
    async with connect(changed) as supabase:
        with pytest.raises(ConfigError, match="does not see every row"):
            await key_role.require_whole_view(supabase)


async def test_an_outage_is_not_reported_as_a_wrong_key(supabase_server: SupabaseServer) -> None:
    async with connect(settings_for(supabase_server)) as supabase:
        with supabase_server.door.failing("unavailable"), pytest.raises(StoreUnavailable):
            await key_role.require_whole_view(supabase)
