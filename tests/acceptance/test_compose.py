"""
deploy/compose.yaml, started as the platform's team does: with the platform's own REDIS_URL.

No container engine runs here: the services' commands run as processes, with the environment that
the file gives them. What the engine adds (networks, limits, health checks) is not tested.
"""

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from devkit.compose import read_compose, read_env, started
from devkit.http_app import serve_process
from devkit.ports import free_port
from devkit.servers.platform import Platform
from devkit.servers.redis_server import RedisServer
from devkit.waiting import LONGEST_S
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
    assert "--appendonly yes --appendfsync always" in " ".join(redis["command"])
    assert "--maxmemory-policy noeviction" in " ".join(redis["command"])
    assert redis["volumes"] == ["redis:/data"]


def test_a_job_that_the_platform_pushes_to_its_redis_arrives(
    platform: Platform, redis: RedisServer, environment: dict[str, str], tmp_path: Path
) -> None:
    jobs = [platform.order(kind, "") for kind in ("b2c", "absorb")]
    with workers(of_the_file(environment), tmp_path / "workers.log"):
        push(redis, jobs)
        assert set(ended(platform, jobs).values()) == {"completed"}


def of_the_file(environment: Mapping[str, str]) -> dict[str, str]:
    """What the file gives both roles of a worker, and addresses on loopback."""
    given = {name: environment[name] for name in environment if name in EXAMPLE}
    services = started(read_compose(DEPLOY / "compose.yaml", EXAMPLE | FILLED | given))
    assert services["consume"]["environment"] == services["celery"]["environment"]
    return {
        **services["consume"]["environment"],
        "OPENAI_BASE_URL": environment["OPENAI_BASE_URL"],
        "WEARON_FETCH_ORIGINS": environment["WEARON_FETCH_ORIGINS"],
        "WEARON_METRICS_PORT": str(free_port()),
    }


def test_a_job_in_the_redis_of_the_profile_survives_its_death(
    platform: Platform, environment: dict[str, str], tmp_path: Path
) -> None:
    """Seen: with everysec, Redis' default, a job was lost while the disk was busy."""
    compose = read_compose(DEPLOY / "compose.yaml", EXAMPLE | FILLED | {"REDIS_URL": PLATFORMS})
    program, *options = started(compose, "redis")["redis"]["command"]
    assert program == "redis-server"
    (tmp_path / "redis").mkdir()
    redis = RedisServer(tmp_path / "redis", options=options)
    redis.start()
    try:
        jobs = [platform.order(kind, "") for kind in ("b2c", "absorb")]
        push(redis, jobs)
        redis.kill()
        redis.start()
        ours = of_the_file({**environment, "REDIS_URL": redis.url})
        with workers(ours, tmp_path / "workers.log"):
            assert set(ended(platform, jobs).values()) == {"completed"}
    finally:
        redis.stop()


def test_serve_counts_the_callers_of_the_files_proxy(redis: RedisServer, tmp_path: Path) -> None:
    """Seen: all callers behind the proxy shared one limit."""
    given = {"REDIS_URL": redis.url, "WEARON_EDGE_SUBNET": "127.0.0.1/32"}
    compose = read_compose(DEPLOY / "compose.yaml", EXAMPLE | FILLED | given)
    limit = {"WEARON_HTTP_REQUESTS_PER_MINUTE": "1"}
    ours = {**started(compose)["serve"]["environment"], **limit}
    with serve_process(tmp_path, **ours) as port:

        def status(caller: str) -> int:
            url, headers = f"http://127.0.0.1:{port}/estimate-body", {"X-Forwarded-For": caller}
            return httpx.post(url, headers=headers, trust_env=False, timeout=LONGEST_S).status_code

        mine = [status("198.51.100.1") for _ in range(3)]
        assert (mine[-1], status("198.51.100.2")) == (429, 415)
