"""
Write the tables of docs/metrics.md from the meters themselves: `python -m scripts.metrics_page`.

A test compares the two, so the page is never stale.
"""

import asyncio
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from wearon_cli.core.jobs.breakers import Halt
from wearon_cli.core.operator.queue_stats import QueueStats
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops.metrics import Meters, QueueCollector

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
HEAD = "| metric | type | labels | meaning |\n|---|---|---|---|\n"
BEFORE_COUNTERS = "## Counted from log events\n"
BEFORE_GAUGES = "## Read from Redis at each scrape\n"
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FullQueue:
    """Queue stats in which every gauge has a value."""

    async def look(self) -> QueueStats:
        halt = Halt(name="storage", reason="storage_refused", since=_NOW, next_probe_at=_NOW)
        counts = dict.fromkeys(
            (
                *("queued", "ready", "released", "running", "waiting", "overdue"),
                *("dead_letters", "consumers", "workers", "slots", "permits_used"),
            ),
            1,
        )
        return QueueStats(at=_NOW, waiting_since=_NOW, halts=(halt,), **counts)


def page(text: str) -> str:
    """`text` with both of its tables replaced."""
    for heading, table in ((BEFORE_COUNTERS, counters()), (BEFORE_GAUGES, gauges())):
        before, _, rest = text.partition(heading)
        prose, _, tail = rest.partition("| metric |")
        _, _, after = tail.partition("\n\n")
        text = f"{before}{heading}{prose}{table}" + (f"\n{after}" if after else "")
    return text


def counters() -> str:
    """The counters and histograms of every role."""
    meters = Meters()
    kept = (each for each in vars(meters).values() if isinstance(each, MetricWrapperBase))
    rows = [
        _row(
            f"{each._name}_total" if each._type == "counter" else each._name,
            str(each._type),
            each._labelnames,
            each._documentation,
        )
        for each in kept
    ]
    return HEAD + "".join(rows)


def gauges() -> str:
    """What `consume` reads from Redis."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        metrics = list(QueueCollector(FullQueue(), Settings(), loop).collect())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    return HEAD + "".join(
        _row(each.name, each.type, each.samples[0].labels, each.documentation) for each in metrics
    )


def _row(name: str, kind: str, labels: Iterable[str], text: str) -> str:
    marked = ", ".join(f"`{label}`" for label in labels)
    return f"| `{name}` | {kind} | {marked} | {text} |\n"


def main() -> None:
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
