"""The image's health check: each role is asked at its own port, and nothing else is."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from devkit.ports import free_port
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops import probe
from wearon_cli.runtime.ops.metrics import PORT_OFFSETS, Meters, expose

ROOT = Path(__file__).parents[2]


class Looks(Collector):
    """Reads Redis, in the real one."""

    def __init__(self) -> None:
        self.looks = 0

    def collect(self) -> Iterator[GaugeMetricFamily]:
        self.looks += 1
        yield GaugeMetricFamily("wearon_queue", "q", 1.0)

    def describe(self) -> list[GaugeMetricFamily]:
        return []


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> int:
    """A metrics port with a free one after it, and no `serve`, as told by the environment."""
    base = free_port()
    monkeypatch.setenv("WEARON_METRICS_PORT", str(base))
    monkeypatch.setenv("WEARON_PORT", str(free_port()))
    return base


def container_of(folder: Path, *words: str) -> Path:
    """The command line of a container's first process."""
    line = folder / "cmdline"
    line.write_bytes(b"\0".join(word.encode() for word in words) + b"\0")
    return line


@pytest.mark.parametrize("role", PORT_OFFSETS)
def test_a_role_without_http_is_asked_on_its_metrics_port(
    role: str, base: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = container_of(tmp_path, "/opt/wearon/bin/python", "/opt/wearon/bin/wearon", role)
    assert probe.main(first) == 1
    assert capsys.readouterr().err == f"{role} does not answer\n"
    looks, meters = Looks(), Meters()
    meters.registry.register(looks)
    with ExitStack() as stack:
        stack.callback(expose(meters, Settings(metrics_port=base), role))
        assert probe.main(first) == 0
        (other,) = set(PORT_OFFSETS) - {role}
        assert probe.main(container_of(tmp_path, "wearon", other)) == 1  # another's answer
        assert probe.main(container_of(tmp_path, "wearon", "all")) == 1  # one of three
        assert probe.main(tmp_path / "no process") == 0
    assert looks.looks == 0  # Redis is not asked


def test_a_role_that_cannot_be_asked_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEARON_METRICS_PORT", "")
    assert probe.main(container_of(tmp_path, "docker-init", "--", "wearon", "consume")) == 1
    assert "set WEARON_METRICS_PORT" in capsys.readouterr().err


def test_the_image_gives_every_role_a_port_to_be_asked_on() -> None:
    """Seen: `consume` and `celery` were never healthy unless the port was set."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    port = re.search(r"WEARON_METRICS_PORT=(\d+)", text)
    assert port is not None
    exposed = {int(n) for n in re.findall(r"\d+", re.findall(r"^EXPOSE (.*)$", text, re.M)[0])}
    wanted = {int(port[1]) + offset for offset in PORT_OFFSETS.values()} | {Settings().port}
    assert exposed == wanted
