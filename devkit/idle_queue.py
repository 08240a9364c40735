"""The state of a queue in which nothing happens, for tests to change."""

from datetime import UTC, datetime
from typing import Final

from wearon_cli.core.operator.queue_stats import QueueStats

IDLE: Final = QueueStats(
    at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    queued=0,
    ready=0,
    waiting_since=None,
    released=0,
    running=0,
    waiting=0,
    overdue=0,
    dead_letters=0,
    consumers=0,
    workers=0,
    slots=0,
    permits_used=0,
    halts=(),
)
