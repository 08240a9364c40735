"""Spans of whole days, as the counts of purchases and failures are kept."""

from datetime import UTC, date, datetime, timedelta


def whole_days(length: timedelta, *, now: datetime) -> tuple[date, date]:
    """The first and the last UTC day that a span up to now touches: of 2 h, mostly today alone."""
    return (now - length).astimezone(UTC).date(), now.astimezone(UTC).date()
