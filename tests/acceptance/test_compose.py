"""
deploy/compose.yaml, started as the platform's team does: with the platform's own REDIS_URL.

No container engine runs here: the services' commands run as processes, with the environment that
the file gives them. What the engine adds (networks, limits, health checks) is not tested.
"""

from pathlib import Path

import pytest

from devkit.compose import read_compose, read_env, started
from devkit.ports import free_port
from devkit.servers.platform import Platform
from devkit.servers.redis_server import RedisServer
from devkit.workers import ended, push, workers

pytestmark = pytest.mark.slow

DEPLOY = Path(__file__).parents[2] / "deploy"
EXAMPLE = read_env((DEPLOY / ".env.example").read_text("utf-8"))
FILLED = {
    "SUPABASE_SERVICE_ROLE_KEY": "key",
    "OPENAI_API_KEY": "key",
    "GRAFANA_PASSWORD": "password",
}
PLATFORMS = "rediss://default:password@redis.platform.example:6380/0"


def test_without_the_platforms_redis_nothing_starts_and_it_says_why() -> None:
    with pytest.raises(KeyError, match="REDIS_URL of the platform"):
        read_compose(DEPLOY / "compose.yaml", EXAMPLE | FILLED)


def test_every_role_works_on_the_redis_that_the_platform_pushes_to() -> None:
    """Seen: all roles used a Redis of their own, to which nobody pushed."""
    compose = read_compose(DEPLOY / "compose.yaml", EXAMPLE | FILLED | {"REDIS_URL": PLATFORMS})
    services = started(compose)
    for role in ("consume", "celery", "serve"):
        assert services[role]["environment"]["REDIS_URL"] == PLATFORMS
        for name in services[role]["depends_on"]:
            needed = services[role]["depends_on"][name].get("required", True)
            assert name in services or not needed
    assert "redis" not in services


def test_its_own_redis_comes_with_a_profile_and_keeps_what_it_is_given() -> None:
    compose = read_compose(DEPLOY / "compose.yaml", EXAMPLE | FILLED | {"REDIS_URL": PLATFORMS})
    redis = started(compose, "redis")["redis"]
    assert "--appendonly yes" in " ".join(redis["command"])
    assert "--maxmemory-policy noeviction" in " ".join(redis["command"])
    assert redis["volumes"] == ["redis:/data"]


def test_a_job_that_the_platform_pushes_to_its_redis_arrives(
    platform: Platform, redis: RedisServer, environment: dict[str, str], tmp_path: Path
) -> None:
    given = {name: environment[name] for name in environment if name in EXAMPLE}
    compose = read_compose(DEPLOY / "compose.yaml", EXAMPLE | FILLED | given)
    consume, celery = (started(compose)[role] for role in ("consume", "celery"))
    assert consume["environment"] == celery["environment"]
    loopback = {
        "OPENAI_BASE_URL": environment["OPENAI_BASE_URL"],
        "WEARON_FETCH_ORIGINS": environment["WEARON_FETCH_ORIGINS"],
        "WEARON_METRICS_PORT": str(free_port()),
    }
    jobs = [platform.order(kind, "") for kind in ("b2c", "absorb")]
    with workers({**consume["environment"], **loopback}, tmp_path / "workers.log"):
        push(redis, jobs)
        assert set(ended(platform, jobs).values()) == {"completed"}
