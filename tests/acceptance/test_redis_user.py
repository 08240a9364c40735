"""The Redis user of docs/rotate-keys.md: every role works with it, and its password is rotated."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from devkit.ports import free_port
from devkit.servers.image_api import KEY
from devkit.servers.platform import KINDS, Platform
from devkit.servers.redis_server import RedisServer
from devkit.servers.supabase import SERVICE_KEY, SupabaseServer
from devkit.waiting import reached, until
from devkit.workers import ended, none_open, push, workers
from wearon_cli.core.operator.checks import faults
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops.doctor import examine

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PAGE = Path(__file__).parents[2] / "docs" / "rotate-keys.md"


def commands() -> list[str]:
    """The page's commands, in order: create the user, add a password, remove the old one."""
    text = PAGE.read_text("utf-8")
    return re.findall(r"^    redis-cli .*?(ACL SETUSER .*)$", text, re.MULTILINE)


def run(redis: RedisServer, command: str) -> None:
    with Redis.from_url(redis.url) as admin:
        admin.execute_command(*command.replace("'", "").split())


def address(redis: RedisServer, password: str) -> str:
    return f"redis://wearon:{password}@127.0.0.1:{redis.port}/0"


def denied(redis: RedisServer) -> list[tuple[object, ...]]:
    """Commands, keys and channels that Redis refused to the user."""
    with Redis.from_url(redis.url) as admin:
        return [(each["reason"], each["object"]) for each in admin.acl_log()]


async def test_every_role_works_with_it_and_a_rotation_loses_no_job(
    supabase: SupabaseServer,
    redis: RedisServer,
    environment: dict[str, str],
    photos: str,
    tmp_path: Path,
) -> None:
    create, add, remove = commands()
    platform = Platform(supabase, photos)
    log = tmp_path / "workers.log"
    run(redis, create)
    with workers({**environment, "REDIS_URL": address(redis, "OLD")}, log):
        completes(redis, platform, "")
        run(redis, add)
        completes(redis, platform, "gone")
    with workers({**environment, "REDIS_URL": address(redis, "NEW")}, log):
        run(redis, remove)
        completes(redis, platform, "")
        await doctor_passes(environment, address(redis, "NEW"))
    assert denied(redis) == []
    with Redis.from_url(address(redis, "OLD")) as old, pytest.raises(AuthenticationError):
        old.ping()


def completes(redis: RedisServer, platform: Platform, fails: str) -> None:
    """Run one job of each kind to its end."""
    jobs = [platform.order(kind, fails) for kind in KINDS]
    push(redis, jobs)
    statuses = ended(platform, jobs)
    until(lambda: none_open(redis))
    assert set(statuses.values()) == {"failed" if fails else "completed"}


async def doctor_passes(environment: dict[str, str], redis_url: str) -> None:
    settings = Settings(
        redis_url=SecretStr(redis_url),
        supabase_url=environment["SUPABASE_URL"],
        supabase_service_role_key=SecretStr(SERVICE_KEY),
        openai_api_key=SecretStr(KEY),
        openai_base_url=environment["OPENAI_BASE_URL"],
        port=free_port(),
    )
    wanted = ("redis", "consumers", "celery workers")

    async def is_green() -> bool:
        red = faults(await examine(settings))
        return not [each for each in red if each.name.startswith(wanted)]

    await reached(is_green)


@pytest.mark.parametrize("words", ["GET other:key", "FLUSHALL", "CONFIG GET *", "KEYS *"])
def test_it_has_no_other_keys_and_no_dangerous_commands(redis: RedisServer, words: str) -> None:
    run(redis, commands()[0])
    with Redis.from_url(address(redis, "OLD")) as user, pytest.raises(NoPermissionError):
        user.execute_command(*words.split())


def test_celerys_tools_may_listen_to_events(redis: RedisServer) -> None:
    run(redis, commands()[0])
    with Redis.from_url(address(redis, "OLD")) as user, user.pubsub() as listener:
        listener.psubscribe("/0.celeryev/*")
        assert listener.parse_response()[0] == b"psubscribe"
