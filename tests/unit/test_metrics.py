"""Metrics are counted from log events, emitted here as a job emits them."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from wearon_cli.core.errors import QueueUnavailable
from wearon_cli.core.events import Event, emit, observed_by
from wearon_cli.core.jobs.breakers import Halt
from wearon_cli.core.jobs.events import (
    BreakerOpened,
    DuplicateJobDropped,
    ImageCallAnswered,
    JobCompleted,
    JobCrashed,
    JobRefused,
    JobSettled,
    JobsRecovered,
    JobStarted,
    JobStopped,
    JobsUnclaimed,
    JobTaken,
    OrphanAdopted,
    PictureNotChecked,
    PictureNotStored,
    PictureSuspect,
    PurchaseLost,
    PurchaseStarted,
    RefundParked,
)
from wearon_cli.core.operator.queue_stats import QueueStats
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.events import BodyMeasured, HttpRequestAnswered, OutageMet, PhotoRefused
from wearon_cli.runtime.ops.logs import configure_logs
from wearon_cli.runtime.ops.metrics import Meters, QueueCollector

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STATS = QueueStats(
    at=NOW,
    queued=3,
    ready=2,
    waiting_since=NOW - timedelta(seconds=9),
    released=8,
    running=5,
    waiting=6,
    overdue=1,
    dead_letters=4,
    consumers=1,
    workers=2,
    slots=32,
    permits_used=7,
    halts=(
        Halt(
            name="provider:openai",
            reason="account_blocked",
            since=NOW - timedelta(minutes=1),
            next_probe_at=NOW + timedelta(seconds=30),
        ),
    ),
)


COMPLETED = JobCompleted(channel="b2c", took_ms=40_000, provider="p", model="m", cost_usd=0.25)
SETTLED = JobSettled(channel="b2b", credit="returned", error="rate_limited", detail="429")
STOPPED = JobStopped(error="rate_limited", detail="429", attempt=1)
ANSWERED = ImageCallAnswered(
    provider="p", model="m", status=429, vendor_request_id=None, took_ms=1500
)
MEASURED = BodyMeasured(photo="0123456789ab", based_on="front", duration_ms=80)
REQUEST = HttpRequestAnswered(method="POST", path="/estimate-body", status=200, duration_ms=90)
LOST = PurchaseLost(provider="p", model="m", number=1, detail="no answer")
RECOVERED = JobsRecovered(orphaned=7, expired=2, workers_lost=3)
BOUGHT = PurchaseStarted(provider="openai", model="m", number=1, waited_ms=500)
OPENED = BreakerOpened(breaker="storage", reason="store_unavailable", probe_after_s=30)
UNSTORED = PictureNotStored(error="storage_refused", detail="too large")
SUSPECT = PictureSuspect(stage="result", findings="not_applied", action="flagged")
UNCHECKED = PictureNotChecked(stage="inputs", reason="no_pose_model")
OUTAGE = OutageMet(error="queue_unavailable", detail="", pause_s=1.0)

#: An event, and the result in the next scrape: sample, labels, value.
COUNTED: list[tuple[Event, str, dict[str, str], float]] = [
    (JobTaken(), "intake_total", {"result": "taken"}, 1),
    (DuplicateJobDropped(), "intake_total", {"result": "duplicate"}, 1),
    (JobRefused(letter_id="l", reason="r"), "intake_total", {"result": "refused"}, 1),
    (COMPLETED, "jobs_total", {"outcome": "completed", "error": "", "channel": "b2c"}, 1),
    (COMPLETED, "job_seconds_sum", {}, 40),
    (COMPLETED, "cost_usd_total", {"provider": "p", "model": "m"}, 0.25),
    (SETTLED, "jobs_total", {"outcome": "failed", "error": "rate_limited", "channel": "b2b"}, 1),
    (SETTLED, "settlements_total", {"credit": "returned"}, 1),
    (STOPPED, "job_stops_total", {"error": "rate_limited"}, 1),
    (JobCrashed(kind="KeyError"), "job_stops_total", {"error": "unexpected"}, 1),
    (RECOVERED, "jobs_recovered_total", {"cause": "orphaned"}, 7),
    (RECOVERED, "jobs_recovered_total", {"cause": "expired"}, 2),
    (RECOVERED, "workers_lost_total", {}, 3),
    (JobsUnclaimed(count=4), "jobs_recovered_total", {"cause": "unclaimed"}, 4),
    (OrphanAdopted(session_id="s", status="queued"), "orphans_total", {}, 1),
    (BOUGHT, "permit_wait_seconds_sum", {}, 0.5),
    (ANSWERED, "image_calls_total", {"provider": "p", "model": "m", "status": "429"}, 1),
    (ANSWERED, "image_call_seconds_sum", {"provider": "p", "model": "m"}, 1.5),
    (LOST, "purchases_lost_total", {}, 1),
    (OPENED, "breaker_openings_total", {"breaker": "storage", "reason": "store_unavailable"}, 1),
    (UNSTORED, "pictures_not_stored_total", {"error": "storage_refused"}, 1),
    (
        SUSPECT,
        "pictures_suspect_total",
        {"stage": "result", "finding": "not_applied", "action": "flagged"},
        1,
    ),
    (
        UNCHECKED,
        "pictures_not_checked_total",
        {"stage": "inputs", "reason": "no_pose_model"},
        1,
    ),
    (RefundParked(detail="no such user"), "refunds_parked_total", {}, 1),
    (OUTAGE, "outages_total", {"error": "queue_unavailable"}, 1),
    (PhotoRefused(reason="cut_off"), "photos_total", {"result": "cut_off"}, 1),
    (MEASURED, "photos_total", {"result": "measured"}, 1),
    (MEASURED, "photo_seconds_sum", {}, 0.08),
    (REQUEST, "http_requests_total", {"path": "/estimate-body", "status": "200"}, 1),
]


@pytest.mark.parametrize(("event", "sample", "labels", "value"), COUNTED)
def test_an_event_is_counted(
    event: Event, sample: str, labels: dict[str, str], value: float
) -> None:
    meters = Meters()
    with observed_by(meters.count):
        emit(event)
    shown = meters.registry.get_sample_value(f"wearon_{sample}", labels)
    assert shown == pytest.approx(value)


def test_every_event_with_a_metric_is_tested_here() -> None:
    assert {type(event) for event, *_ in COUNTED} == Meters().counted


def test_a_picture_that_was_stored_before_costs_nothing_again() -> None:
    meters = Meters()
    meters.count(JobCompleted(channel="b2c", took_ms=50, provider=None, model=None, cost_usd=None))
    assert "wearon_cost_usd_total{" not in meters.render().decode()


def test_other_events_change_no_metric() -> None:
    meters = Meters()
    before = meters.registry.get_sample_value("wearon_intake_total", {"result": "taken"})
    lines = meters.render().count(b"\n")
    meters.count(JobStarted(attempt=1, age_s=0.0))
    assert before is None
    assert meters.render().count(b"\n") == lines


def test_an_event_that_cannot_be_counted_stops_no_job() -> None:
    meters = Meters()
    with capture_logs() as lines, observed_by(meters.count):
        emit(JobsUnclaimed(count=-1))  # a counter takes no negative number
    assert [line["event"] for line in lines] == ["observer_failed", "jobs_unclaimed"]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_the_level_of_the_log_changes_no_figure(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(log_level=level, log_format="json")
    meters = Meters()
    try:
        configure_logs(settings, "test")
        with observed_by(meters.count):
            emit(JobTaken())
    finally:
        structlog.reset_defaults()
    assert meters.registry.get_sample_value("wearon_intake_total", {"result": "taken"}) == 1
    assert ("job_taken" in capsys.readouterr().err) is (level in {"debug", "info"})


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs on another thread, as a role's does during a scrape."""
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
    looks = Looks(STATS)
    registry = CollectorRegistry()
    registry.register(QueueCollector(looks, Settings(), loop))
    shown = {metric.name: metric.samples[-1].value for metric in registry.collect()}
    assert shown == {
        "wearon_redis_up": 1,
        "wearon_queue_depth": 3,
        "wearon_jobs_ready": 2,
        "wearon_oldest_wait_seconds": 9,
        "wearon_jobs_released": 8,
        "wearon_jobs_running": 5,
        "wearon_jobs_waiting": 6,
        "wearon_jobs_overdue": 1,
        "wearon_workers": 2,
        "wearon_slots": 32,
        "wearon_dead_letters": 4,
        "wearon_consumers": 1,
        "wearon_permits_used": 7,
        "wearon_breaker_open": 1,
        "wearon_breaker_opened_timestamp_seconds": NOW.timestamp() - 60,
        "wearon_breaker_next_probe_timestamp_seconds": NOW.timestamp() + 30,
        "wearon_purchases_stopped": 1,
        "wearon_refunds_from_timestamp_seconds": NOW.timestamp() - 60 + 1800,
    }
    open_ones = {"storage": 0, "provider:openai": 1}
    for breaker, value in open_ones.items():
        assert registry.get_sample_value("wearon_breaker_open", {"breaker": breaker}) == value
    looks.answer = replace(STATS, halts=())
    assert registry.get_sample_value("wearon_purchases_stopped") == 0
    assert registry.get_sample_value("wearon_refunds_from_timestamp_seconds") is None
    looks.answer = None
    assert registry.get_sample_value("wearon_redis_up") == 0
    assert registry.get_sample_value("wearon_queue_depth") is None
