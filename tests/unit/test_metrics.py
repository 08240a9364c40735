"""Metrics are counted from log events."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

import wearon_cli
from wearon_cli.core.errors import QueueUnavailable
from wearon_cli.core.operator.queue_stats import QueueStats
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops.logs import configure_logs
from wearon_cli.runtime.ops.metrics import Meters, QueueCollector

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OVERVIEW = QueueStats(
    at=NOW,
    queued=3,
    ready=2,
    waiting_since=NOW - timedelta(seconds=9),
    held=5,
    overdue=1,
    dead_letters=4,
    consumers=1,
    permits_used=7,
    calls_waiting=0,
    halted_because="account_blocked",
)


def counted(meters: Meters, event: str, **facts: object) -> None:
    meters.observe(None, "info", {"event": event, **facts})


@pytest.mark.parametrize(
    ("event", "facts", "sample", "labels", "value"),
    [
        ("job_taken", {}, "wearon_intake_total", {"result": "taken"}, 1),
        ("job_refused", {}, "wearon_intake_total", {"result": "refused"}, 1),
        (
            "job_completed",
            {"took_ms": 40_000, "model": "m", "cost_usd": 0.25, "channel": "b2c"},
            "wearon_jobs_total",
            {"outcome": "completed", "error": "", "channel": "b2c"},
            1,
        ),
        (
            "job_completed",
            {"took_ms": 40_000, "model": "m", "cost_usd": 0.25, "channel": "b2c"},
            "wearon_cost_usd_total",
            {"model": "m"},
            0.25,
        ),
        (
            "job_settled",
            {"credit": "refunded", "error": "rate_limited", "channel": "b2b"},
            "wearon_jobs_total",
            {"outcome": "failed", "error": "rate_limited", "channel": "b2b"},
            1,
        ),
        (
            "job_settled",
            {"credit": "refunded", "error": "rate_limited", "channel": "b2b"},
            "wearon_settlements_total",
            {"credit": "refunded"},
            1,
        ),
        ("jobs_recovered", {"count": 7}, "wearon_jobs_recovered_total", {}, 7),
        ("permit_granted", {"waited_ms": 500}, "wearon_permit_wait_seconds_sum", {}, 0.5),
        (
            "image_call_answered",
            {"model": "m", "status": 429, "took_ms": 1500},
            "wearon_image_calls_total",
            {"model": "m", "status": "429"},
            1,
        ),
        (
            "image_call_answered",
            {"model": "m", "status": 200, "took_ms": 1500},
            "wearon_image_call_seconds_sum",
            {"model": "m"},
            1.5,
        ),
        ("paid_call_lost", {}, "wearon_paid_calls_lost_total", {}, 1),
        ("photo_refused", {"reason": "cut_off"}, "wearon_photos_total", {"result": "cut_off"}, 1),
        ("body_measured", {"duration_ms": 80}, "wearon_photo_seconds_count", {}, 1),
        (
            "http_request",
            {"path": "/estimate-body", "status": 200},
            "wearon_http_requests_total",
            {"path": "/estimate-body", "status": "200"},
            1,
        ),
    ],
)
def test_an_event_is_counted(
    event: str, facts: dict[str, object], sample: str, labels: dict[str, str], value: float
) -> None:
    meters = Meters()
    counted(meters, event, **facts)
    assert meters.registry.get_sample_value(sample, labels) == pytest.approx(value)


def test_other_events_count_nothing_and_pass() -> None:
    meters = Meters()
    before = meters.render().count(b"\n")
    assert meters.observe(None, "info", {"event": "something else"})["event"] == "something else"
    assert meters.render().count(b"\n") == before


def test_every_event_that_is_counted_is_logged_somewhere() -> None:
    root = Path(wearon_cli.__file__).parent
    sources = "".join(
        path.read_text("utf-8") for path in root.rglob("*.py") if path.name != "metrics.py"
    )
    assert [event for event in Meters().events if f'"{event}"' not in sources] == []


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_the_level_of_the_log_changes_no_figure(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    meters = Meters()
    settings = Settings(log_level=level, log_format="json")  # type: ignore[arg-type]
    try:
        configure_logs(settings, "test", observe=meters.observe)
        structlog.get_logger("here").info("job_taken")
    finally:
        structlog.reset_defaults()
    assert meters.registry.get_sample_value("wearon_intake_total", {"result": "taken"}) == 1
    assert ("job_taken" in capsys.readouterr().err) is (level in {"debug", "info"})


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs on another thread, as a role's does while somebody scrapes."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class Looks:
    def __init__(self, answer: QueueStats | None) -> None:
        self.answer = answer

    async def look(self) -> QueueStats:
        if self.answer is None:
            raise QueueUnavailable
        return self.answer


def test_the_queue_is_read_at_each_scrape(loop: asyncio.AbstractEventLoop) -> None:
    looks = Looks(OVERVIEW)
    registry = CollectorRegistry()
    registry.register(QueueCollector(looks, loop))
    shown = {
        name: registry.get_sample_value(f"wearon_{name}")
        for name in ("redis_up", "queue_depth", "oldest_wait_seconds", "breaker_open")
    }
    assert shown == {
        "redis_up": 1,
        "queue_depth": 3,
        "oldest_wait_seconds": 9,
        "breaker_open": 1,
    }
    looks.answer = None
    assert registry.get_sample_value("wearon_redis_up") == 0
    assert registry.get_sample_value("wearon_queue_depth") is None
