"""`wearon doctor` on a healthy stack and on broken ones: each fault is named, with a hint."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

from devkit.ports import free_port
from devkit.servers.image_api import KEY
from devkit.servers.image_api_process import ImageApiProcess, RunwareApiProcess
from devkit.servers.redis_server import RedisServer
from devkit.servers.runware_api import KEY as RUNWARE_KEY
from devkit.servers.supabase import ANON_KEY, SERVICE_KEY, SupabaseServer
from devkit.waiting import reached
from devkit.workers import workers
from wearon_cli.core.operator.checks import Finding, faults
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops.doctor import examine

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def healthy(supabase: SupabaseServer, redis: RedisServer, api: ImageApiProcess) -> Settings:
    supabase.door.clear()
    return Settings(
        redis_url=SecretStr(redis.url),
        supabase_url=supabase.url,
        supabase_service_role_key=SecretStr(SERVICE_KEY),
        openai_api_key=SecretStr(KEY),
        openai_base_url=api.base_url,
        openai_image_models=("gpt-image-1.5", "gpt-image-2.6-flare"),
        port=free_port(),
    )


def red(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in faults(findings)}


async def test_a_complete_stack_passes_every_check(
    healthy: Settings, environment: dict[str, str], tmp_path: Path
) -> None:
    with workers(environment, tmp_path / "workers.log"):
        findings = await until_green(healthy)
    assert red(findings) == {}
    names = {finding.name for finding in findings}
    assert {"consumers", "celery workers", "supabase key", "pose model", "disk"} <= names
    assert {"function refund_credits", "model openai:gpt-image-1.5"} <= names


async def until_green(settings: Settings) -> list[Finding]:
    """Workers need a while to start, and a busy one may miss a ping."""
    findings: list[Finding] = []

    async def green() -> bool:
        findings[:] = await examine(settings)
        return not faults(findings)

    with suppress(TimeoutError):
        await reached(green)
    return findings


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


BROKEN: dict[str, tuple[dict[str, object], str]] = {
    "no Redis": ({"redis_url": SecretStr("redis://127.0.0.1:1/0")}, "redis"),
    "no workers": ({}, "celery workers"),
    "no consumers": ({}, "consumers"),
    "an anon key": ({"supabase_service_role_key": SecretStr(ANON_KEY)}, "supabase key"),
    "no Supabase": ({"supabase_url": "http://127.0.0.1:1"}, "supabase"),
    "no bucket": ({"bucket": "elsewhere"}, "bucket elsewhere"),
    "a wrong image key": ({"openai_api_key": SecretStr("sk-wrong")}, "OpenAI key"),
    "no image API": ({"openai_base_url": "http://127.0.0.1:1/v1"}, "OpenAI"),
    "an unknown model": ({"openai_image_models": ("gpt-image-0",)}, "model openai:gpt-image-0"),
    "no Runware key": ({"providers": ("openai", "runware")}, "Runware key"),
    "no pose model": ({"pose_model": Path("/nowhere/model.task")}, "pose model"),
}


@pytest.mark.parametrize("case", list(BROKEN))
async def test_each_fault_is_named_with_a_hint(healthy: Settings, case: str) -> None:
    changes, name = BROKEN[case]
    findings = await examine(healthy.model_copy(update=changes))
    wrong = red(findings)
    assert name in wrong
    assert wrong[name].hint
    shown = " ".join(f"{finding.detail} {finding.hint}" for finding in findings)
    for secret in (KEY, SERVICE_KEY, ANON_KEY, "sk-wrong"):
        assert secret not in shown


async def test_a_port_of_another_program_is_named(healthy: Settings, taken_port: int) -> None:
    findings = await examine(healthy.model_copy(update={"port": taken_port}))
    assert f"port {taken_port}" in red(findings)


async def providers_of(settings: Settings, today: date) -> list[Finding]:
    """What a complete run says about providers; Redis and Supabase are tested elsewhere."""
    return [
        finding
        for finding in await examine(settings, today=today)
        if finding.name.startswith(("model ", "image ", "OpenAI", "Runware"))
    ]


async def test_the_retirement_of_gpt_image_1_5_fails_no_check(
    healthy: Settings, api: ImageApiProcess
) -> None:
    """deploy/deploy.sh rolls back a deployment when `wearon doctor` fails."""
    models = ("gpt-image-1.5", "gpt-image-2.6-flare")
    settings = healthy.model_copy(update={"openai_image_models": models})
    before = await providers_of(settings, date(2026, 11, 30))
    api.rules(open_models=["gpt-image-2.6-flare"])
    after = await providers_of(settings, date(2026, 12, 2))
    told = {f.name: f for f in before}["model openai:gpt-image-1.5"]
    assert told.warning
    assert told.detail.startswith("closes on 2026-12-01, in 1 day; about $0.068 a try-on. Then ")
    gone = {f.name: f for f in after}["model openai:gpt-image-1.5"]
    assert gone.detail == "closed on 2026-12-01; openai:gpt-image-2.6-flare is used"
    assert red(before) == red(after) == {}


async def test_a_list_of_retired_models_fails(healthy: Settings, api: ImageApiProcess) -> None:
    settings = healthy.model_copy(update={"openai_image_models": ("gpt-image-1.5",)})
    api.rules(open_models=["gpt-image-2.6-flare"])
    assert set(red(await providers_of(settings, date(2026, 12, 2)))) == {
        "model openai:gpt-image-1.5",
        "image models",
    }


async def test_runware_is_asked_about_its_key(healthy: Settings) -> None:
    with RunwareApiProcess() as runware:
        settings = healthy.model_copy(
            update={
                "providers": ("runware",),
                "runware_api_key": SecretStr(RUNWARE_KEY),
                "runware_base_url": runware.base_url,
            }
        )
        good = await providers_of(settings, date(2026, 12, 2))
        wrong = settings.model_copy(update={"runware_api_key": SecretStr("rw-wrong")})
        assert set(red(await providers_of(wrong, date(2026, 12, 2)))) == {"Runware key"}
    assert [finding.name for finding in good] == ["Runware key", "model runware:p-image"]
    assert red(good) == {}
    assert set(red(await providers_of(settings, date(2026, 12, 2)))) == {"Runware"}
