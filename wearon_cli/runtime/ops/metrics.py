"""
Metrics of a role, counted from its log events at any log level.

So nothing in `core` depends on metrics, and every figure on a dashboard can be traced in the log.
What waits in Redis is read at each scrape.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wearon_cli.core.credits import CreditState
from wearon_cli.core.errors import (
    ConfigError,
    QueueUnavailable,
    StorageRefused,
    StoreUnavailable,
    UpstreamError,
)
from wearon_cli.core.events import Event
from wearon_cli.core.jobs.breakers import STORAGE, provider_breaker
from wearon_cli.core.jobs.events import (
    BreakerOpened,
    DuplicateJobDropped,
    ImageCallAnswered,
    JobCompleted,
    JobCrashed,
    JobRefused,
    JobSettled,
    JobsRecovered,
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
from wearon_cli.core.jobs.halts import halt_state
from wearon_cli.core.operator.queue_stats import QueueStats, QueueStatsPort
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.events import BodyMeasured, HttpRequestAnswered, OutageMet, PhotoRefused

#: Offsets to WEARON_METRICS_PORT.
PORT_OFFSETS: Final = {"consume": 0, "celery": 1}
#: Seconds. A generation takes 40 s and may take 120 s.
LONG_BUCKETS: Final = (1, 2, 5, 10, 20, 30, 40, 50, 60, 80, 100, 120, 150, 300)
SHORT_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
#: A scrape waits this long for Redis.
LOOK_TIMEOUT_S: Final = 3.0


class Meters:
    """All counters of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._add_job_counters()
        self._add_call_counters()
        self._add_http_counters()
        self._rules: dict[type[Event], Callable[[Any], None]] = {}
        self._count_jobs()
        self._count_calls()
        self._count_http()

    def count(self, event: Event) -> None:
        """Count an event if it has a metric; an observer of `core.events`."""
        rule = self._rules.get(type(event))
        if rule is not None:
            rule(event)

    @property
    def counted(self) -> frozenset[type[Event]]:
        """The events with a metric."""
        return frozenset(self._rules)

    def show(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge that is read at each scrape."""
        Gauge(f"wearon_{name}", text, registry=self.registry).set_function(value)

    def render(self) -> bytes:
        """The text of a scrape."""
        return generate_latest(self.registry)

    def _add_job_counters(self) -> None:
        self.intake = self._counter("intake", "Payloads taken from the platform's list.", "result")
        self.jobs = self._counter("jobs", "Jobs that ended.", "outcome", "error", "channel")
        self.credits = self._counter(
            "settlements", "What became of failed jobs' credits.", "credit"
        )
        # Starts at 0, so that the first event of a kind shows as an increase.
        for each in (*CreditState, "no_row"):
            self.credits.labels(str(each))
        self.stops = self._counter("job_stops", "Attempts that an error stopped.", "error")
        self.recovered = self._counter(
            "jobs_recovered", "Jobs that recovery made ready again, by reason.", "cause"
        )
        for cause in ("orphaned", "expired", "unclaimed"):
            self.recovered.labels(cause)
        self.workers_lost = self._counter("workers_lost", "Workers whose lease expired.")
        self.refunds_parked = self._counter(
            "refunds_parked", "Refunds that the ledger refused: each is a dead letter."
        )
        self.orphans = self._counter(
            "orphans", "Open rows without a job that were picked up to be failed."
        )
        self.outages = self._counter(
            "outages", "Passes of consume that failed because of an outage.", "error"
        )
        self.job_time = self._histogram(
            "job_seconds", "First claim to completed row.", LONG_BUCKETS
        )

    def _add_call_counters(self) -> None:
        self.calls = self._counter(
            "image_calls", "Answers from the image APIs.", "provider", "model", "status"
        )
        self.lost_purchases = self._counter(
            "purchases_lost", "Purchases that may have been billed without a picture."
        )
        self.cost = self._counter(
            "cost_usd", "Estimated cost of completed pictures.", "provider", "model"
        )
        self.breaker_openings = self._counter(
            "breaker_openings", "Calls were halted.", "breaker", "reason"
        )
        self.pictures_not_stored = self._counter(
            "pictures_not_stored", "Bought pictures that could not be stored.", "error"
        )
        for kind in (StorageRefused, StoreUnavailable, QueueUnavailable):
            self.pictures_not_stored.labels(kind.code)
        self.suspects = self._counter(
            "pictures_suspect", "What checks of pictures found.", "stage", "finding", "action"
        )
        self.unchecked = self._counter(
            "pictures_not_checked", "Checks that could not be done.", "stage", "reason"
        )
        self.call_time = self._histogram(
            "image_call_seconds", "Image API, request to answer.", LONG_BUCKETS, "provider", "model"
        )
        self.permit_wait = self._histogram(
            "permit_wait_seconds", "Wait for the shared rate limit.", SHORT_BUCKETS
        )

    def _add_http_counters(self) -> None:
        self.photos = self._counter("photos", "Photos by measuring result.", "result")
        self.photo_time = self._histogram(
            "photo_seconds", "Time to fetch and measure a photo.", SHORT_BUCKETS
        )
        self.requests = self._counter("http_requests", "HTTP requests.", "path", "status")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"wearon_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Iterable[float], *labels: str) -> Histogram:
        return Histogram(
            f"wearon_{name}", text, labels, buckets=tuple(buckets), registry=self.registry
        )

    def _on[E: Event](self, kind: type[E], rule: Callable[[E], None]) -> None:
        self._rules[kind] = rule

    def _count_jobs(self) -> None:
        self._on(JobTaken, lambda _: self.intake.labels("taken").inc())
        self._on(DuplicateJobDropped, lambda _: self.intake.labels("duplicate").inc())
        self._on(JobRefused, lambda _: self.intake.labels("refused").inc())
        self._on(JobCompleted, self._completed)
        self._on(JobSettled, self._settled)
        self._on(JobStopped, lambda event: self.stops.labels(event.error).inc())
        self._on(RefundParked, lambda _: self.refunds_parked.inc())
        self._on(JobCrashed, lambda _: self.stops.labels("unexpected").inc())
        self._on(JobsRecovered, self._recovered)
        self._on(JobsUnclaimed, lambda event: self.recovered.labels("unclaimed").inc(event.count))
        self._on(OrphanAdopted, lambda _: self.orphans.inc())
        self._on(OutageMet, lambda event: self.outages.labels(event.error).inc())

    def _count_calls(self) -> None:
        self._on(PurchaseStarted, lambda event: self.permit_wait.observe(event.waited_ms / 1000))
        self._on(ImageCallAnswered, self._answered)
        self._on(PurchaseLost, lambda _: self.lost_purchases.inc())
        self._on(
            BreakerOpened,
            lambda event: self.breaker_openings.labels(event.breaker, event.reason).inc(),
        )
        self._on(PictureNotStored, lambda event: self.pictures_not_stored.labels(event.error).inc())

        self._on(PictureSuspect, self._suspected)
        self._on(
            PictureNotChecked,
            lambda event: self.unchecked.labels(event.stage, event.reason).inc(),
        )

    def _count_http(self) -> None:
        self._on(BodyMeasured, self._measured)
        self._on(PhotoRefused, lambda event: self.photos.labels(event.reason).inc())
        self._on(
            HttpRequestAnswered,
            lambda event: self.requests.labels(event.path, event.status).inc(),
        )

    def _completed(self, event: JobCompleted) -> None:
        self.jobs.labels("completed", "", event.channel).inc()
        self.job_time.observe(event.took_ms / 1000)
        if event.provider and event.model and event.cost_usd:
            self.cost.labels(event.provider, event.model).inc(event.cost_usd)

    def _recovered(self, event: JobsRecovered) -> None:
        self.recovered.labels("orphaned").inc(event.orphaned)
        self.recovered.labels("expired").inc(event.expired)
        self.workers_lost.inc(event.workers_lost)

    def _settled(self, event: JobSettled) -> None:
        self.jobs.labels("failed", event.error, event.channel).inc()
        self.credits.labels(event.credit).inc()

    def _answered(self, event: ImageCallAnswered) -> None:
        self.calls.labels(event.provider, event.model, event.status).inc()
        self.call_time.labels(event.provider, event.model).observe(event.took_ms / 1000)

    def _suspected(self, event: PictureSuspect) -> None:
        for finding in event.findings.split(","):
            self.suspects.labels(event.stage, finding, event.action).inc()

    def _measured(self, event: BodyMeasured) -> None:
        self.photos.labels("measured").inc()
        self.photo_time.observe(event.duration_ms / 1000)


class QueueCollector(Collector):
    """The state of the queue as gauges, read from Redis at each scrape."""

    def __init__(
        self, queue_stats: QueueStatsPort, settings: Settings, loop: asyncio.AbstractEventLoop
    ) -> None:
        """
        Args:
            queue_stats: Looks at Redis.
            loop: Where it does so; scrapes come on other threads.
        """
        self._queue_stats = queue_stats
        self._settings = settings
        self._loop = loop

    def collect(self) -> Iterable[Metric]:
        """The gauges; only `wearon_redis_up` when Redis does not answer."""
        look = asyncio.run_coroutine_threadsafe(self._look(), self._loop)
        try:
            stats = look.result(LOOK_TIMEOUT_S)
        except TimeoutError:
            look.cancel()
            stats = None
        yield GaugeMetricFamily("wearon_redis_up", "Redis answers.", float(stats is not None))
        if stats is not None:
            for name, text, value in _gauges(stats):
                yield GaugeMetricFamily(f"wearon_{name}", text, value)
            yield from _halt_gauges(stats, self._settings)

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not read Redis."""
        return ()

    async def _look(self) -> QueueStats | None:
        try:
            return await self._queue_stats.look()
        except UpstreamError:
            return None


def _gauges(now: QueueStats) -> Iterable[tuple[str, str, float]]:
    waited_s = (now.at - now.waiting_since).total_seconds() if now.waiting_since else 0.0
    yield "queue_depth", "Payloads that no consumer has taken yet.", now.queued
    yield "jobs_ready", "Journalled jobs that wait for a worker.", now.ready
    yield "oldest_wait_seconds", "Age of the job that is next in line.", max(0.0, waited_s)
    yield "jobs_released", "Jobs released to workers and not yet claimed.", now.released
    yield "jobs_running", "Jobs claimed by a worker.", now.running
    yield "jobs_waiting", "Jobs that wait for their due time.", now.waiting
    yield "jobs_overdue", "Jobs whose deadline or due time has passed.", now.overdue
    yield "workers", "Worker processes with a lease.", now.workers
    yield "slots", "Job slots of all workers.", now.slots
    yield "dead_letters", "Dead letters kept.", now.dead_letters
    yield "consumers", "Consumers alive.", now.consumers
    yield "permits_used", "Image requests in the last minute.", now.permits_used


def _halt_gauges(now: QueueStats, settings: Settings) -> Iterable[Metric]:
    """Times are in seconds since 1970, and absent if there is none."""
    state = halt_state(now.halts, settings)
    is_open = GaugeMetricFamily("wearon_breaker_open", "1: calls are halted.", labels=["breaker"])
    since = GaugeMetricFamily(
        "wearon_breaker_opened_timestamp_seconds", "When the breaker opened.", labels=["breaker"]
    )
    probe = GaugeMetricFamily(
        "wearon_breaker_next_probe_timestamp_seconds",
        "When the next probe is due.",
        labels=["breaker"],
    )
    providers = map(provider_breaker, settings.provider_names)
    open_ones = {halt.name: halt for halt in state.halts}
    for name in dict.fromkeys([STORAGE, *providers, *open_ones]):
        is_open.add_metric([name], float(name in open_ones))
    for name, halt in open_ones.items():
        since.add_metric([name], halt.since.timestamp())
        probe.add_metric([name], halt.next_probe_at.timestamp())
    yield from (is_open, since, probe)
    stopped = float(state.stopped_since is not None)
    yield GaugeMetricFamily("wearon_purchases_stopped", "1: nothing is bought.", stopped)
    refunds = GaugeMetricFamily(
        "wearon_refunds_from_timestamp_seconds",
        "When credits of waiting jobs start to be returned.",
    )
    if state.refunds_from is not None:
        refunds.add_metric([], state.refunds_from.timestamp())
    yield refunds


def expose(meters: Meters, settings: Settings, role: str) -> Callable[[], None]:
    """
    Serve the metrics of a role without HTTP of its own, when a port is set; returns what stops it.

    Raises:
        ConfigError: The port is taken.
    """
    if settings.metrics_port is None:
        return lambda: None
    port = settings.metrics_port + PORT_OFFSETS[role]
    try:
        server, thread = start_http_server(port, settings.metrics_host, meters.registry)
    except OSError as exc:
        raise ConfigError(
            f"port {port} on {settings.metrics_host} cannot be opened: {exc.strerror}",
            hint="set another WEARON_METRICS_PORT; `consume` uses it and `celery` the next port",
        ) from exc

    def stop() -> None:
        _end(server, thread)

    return stop


def _end(server: Any, thread: threading.Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
