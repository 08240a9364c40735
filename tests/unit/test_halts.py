"""What is halted, and when credits are refunded."""

from datetime import UTC, datetime, timedelta

import pytest

from wearon_cli.core.jobs.breakers import STORAGE, Halt, provider_breaker
from wearon_cli.core.jobs.halts import halt_state, refund_at
from wearon_cli.core.jobs.journal import JobEntry, JobState, SettlementIntent
from wearon_cli.core.session import Channel, Session, Status
from wearon_cli.core.settings import Settings

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
OPENAI, RUNWARE = provider_breaker("openai"), provider_breaker("runware")
ONE = Settings()
TWO = Settings(providers=("openai", "runware"))


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def halt(name: str, *, after_min: float = 0) -> Halt:
    since = NOON + minutes(after_min)
    return Halt(
        name=name, reason="account_blocked", since=since, next_probe_at=since + minutes(0.5)
    )


@pytest.mark.parametrize(
    ("halts", "settings", "stopped_after_min"),
    [
        pytest.param([], ONE, None, id="nothing is open"),
        pytest.param([halt(OPENAI)], ONE, 0, id="the only provider"),
        pytest.param([halt(OPENAI)], TWO, None, id="one of two providers"),
        pytest.param([halt(RUNWARE, after_min=3), halt(OPENAI)], TWO, 3, id="both: the last one"),
        pytest.param([halt(STORAGE, after_min=1)], TWO, 1, id="storage"),
        pytest.param([halt(OPENAI), halt(STORAGE, after_min=1)], TWO, 1, id="one and storage"),
        pytest.param([halt(OPENAI), halt(STORAGE, after_min=1)], ONE, 0, id="all and storage"),
        pytest.param([halt(provider_breaker("gone"))], ONE, None, id="not configured any more"),
    ],
)
def test_nothing_is_bought_without_storage_or_any_provider(
    halts: list[Halt], settings: Settings, stopped_after_min: float | None
) -> None:
    state = halt_state(halts, settings)
    stopped = None if stopped_after_min is None else NOON + minutes(stopped_after_min)
    assert state.stopped_since == stopped
    assert state.refunds_from == (stopped and stopped + minutes(30))
    assert [each.since for each in state.halts] == sorted(each.since for each in halts)


def test_the_lines_say_what_is_halted_why_since_when_and_until_when() -> None:
    assert halt_state([], ONE).lines() == []
    assert halt_state([halt(OPENAI)], ONE).lines() == [
        "HALTED: provider:openai (account_blocked) since 12:00:00 UTC, next probe 12:00:30 UTC",
        "no pictures are bought, jobs wait; credits are returned from 12:30:00 UTC, "
        "for b2c sessions before they are 10 min old",
    ]
    assert halt_state([halt(OPENAI)], TWO).lines()[-1] == ("another provider is used meanwhile")


def row(channel: Channel, *, made_min: float) -> Session:
    return Session(
        session_id="s",
        channel=channel,
        owner_id="o",
        status=Status.QUEUED,
        created_at=NOON + minutes(made_min),
        model_image_url="",
        outfit_image_url="",
    )


def job(
    *, opened_min: float, waiting_min: float | None = None, intent: SettlementIntent | None = None
) -> JobEntry:
    return JobEntry(
        session_id="s",
        channel=Channel.B2B,
        state=JobState.READY,
        opened_at=NOON + minutes(opened_min),
        attempt=0,
        purchases=0,
        deaths=0,
        payload=b"{}",
        waiting_since=None if waiting_min is None else NOON + minutes(waiting_min),
        intent=intent,
    )


INTENT = SettlementIntent(error_code="e", shopper_message="m", detail="d")


@pytest.mark.parametrize(
    ("channel", "entry", "after_min"),
    [
        pytest.param(Channel.B2B, job(opened_min=-5), 30, id="came before the halt"),
        pytest.param(Channel.B2B, job(opened_min=7), 37, id="came during the halt"),
        pytest.param(Channel.B2B, job(opened_min=-9, waiting_min=-8), 22, id="waited before it"),
        pytest.param(Channel.B2C, job(opened_min=7), 17, id="b2c: the platform ends it"),
        pytest.param(Channel.B2C, job(opened_min=7, intent=INTENT), None, id="fails already"),
    ],
)
def test_the_time_of_a_jobs_refund_is_known(
    channel: Channel, entry: JobEntry, after_min: float | None
) -> None:
    state = halt_state([halt(OPENAI)], ONE)
    at = refund_at(state, row(channel, made_min=7), entry, ONE)
    assert at == (None if after_min is None else NOON + minutes(after_min))


def test_without_a_halt_no_refund_is_announced() -> None:
    only_one = halt_state([halt(OPENAI)], TWO)
    assert refund_at(only_one, row(Channel.B2B, made_min=0), job(opened_min=0), TWO) is None
