"""The status screen at common widths, and its keys."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from devkit.drawing import drawn
from devkit.idle_queue import IDLE
from wearon_cli.cli import status_screen
from wearon_cli.cli.status_screen import View, screen_of
from wearon_cli.cli.status_table import Look, status_table
from wearon_cli.core.jobs.breakers import Halt
from wearon_cli.core.jobs.halts import halt_state
from wearon_cli.core.operator.inspector import Listed
from wearon_cli.core.operator.minutes import EndingCount
from wearon_cli.core.operator.session_stats import SessionStats
from wearon_cli.core.session import Channel, Session, Status, utc_now
from wearon_cli.core.settings import Settings

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HALT = Halt(name="provider:openai", reason="account_blocked", since=NOW, next_probe_at=NOW)


def failure(number: int) -> Listed:
    row = Session(
        session_id=f"0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d0{number}",
        channel=Channel.B2C,
        owner_id="00000000-0000-4000-8000-000000000001",
        status=Status.FAILED,
        created_at=utc_now(),
    )
    return Listed(session=row, cause="generation_refused")


def look(*, halted: bool = False, failed: int = 2, is_local: bool = False) -> Look:
    minutes = [
        EndingCount(
            at=NOW + timedelta(minutes=n), completed=n, failures={"x": 1} if n == 59 else {}
        )
        for n in range(60)
    ]
    return Look(
        stats=replace(
            IDLE,
            at=NOW,
            queued=3,
            ready=2,
            waiting_since=NOW,
            released=1,
            running=40,
            dead_letters=1,
            consumers=1,
            permits_used=150,
            halts=(HALT,) if halted else (),
        ),
        halt=halt_state((HALT,) if halted else (), Settings()),
        hour=SessionStats(
            created=10,
            completed=8,
            failed=failed,
            open=0,
            completed_per_minute=1.6,
            median_s=41.0,
            failures={"generation_refused": failed} if failed else {},
        ),
        minutes=minutes,
        cost_today_usd=1.25,
        requests_per_minute=300,
        failures=[failure(n) for n in range(failed)],
        is_local=is_local,
    )


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_status_fits_the_width_and_says_the_same_without_colours(width: int) -> None:
    lines = drawn(status_table(look()), width=width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for shown in ("✗ NONE: start `wearon celery`", "✓ not halted", "✗ 2 in the last hour", "! 1"):
        assert shown in text
    assert "██████████" in text  # half of the rate limit
    done, failed = (line for line in lines if "█" in line and "limit" not in line)
    assert done.endswith("█")
    assert failed.endswith("█")
    assert failed.count("█") == 1


def test_on_a_local_stack_the_command_that_starts_all_roles_is_named() -> None:
    """Seen: `wearon status --local` said to start `wearon celery`, which needs production's."""
    text = "\n".join(drawn(status_table(look(is_local=True)), width=200))
    assert "✗ NONE: start `wearon all --local`" in text
    assert "wearon celery" not in text


def test_a_halt_is_shown() -> None:
    text = "\n".join(drawn(status_table(look(halted=True)), width=200))
    assert "■ HALTED: provider:openai" in text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_screen_lists_failures_with_whole_ids(width: int) -> None:
    found = look()
    lines = drawn(screen_of(View(look=found)), width=width)
    for each in found.failures:
        assert any(each.session.session_id in line for line in lines)
    assert lines[-1].startswith("q quit")


async def session(session_id: str) -> list[str]:
    return [f"all of {session_id}"]


async def pressed(view: View, *keys: str) -> View:
    for key in keys:
        view = await status_screen._after(key, view, session)
    return view


async def test_keys_select_show_and_go_back() -> None:
    view = View(look=look())
    assert (await pressed(view, "p")).is_paused
    assert not (await pressed(view, "p", "p")).is_paused
    below = await pressed(view, "down", "down", "down")
    assert below.failure is below.look.failures[1]
    assert (await pressed(below, "up", "up")).failure is below.look.failures[0]
    shown = await pressed(below, "enter")
    assert "3f2c6f0a9d01" in "\n".join(drawn(screen_of(shown), width=80))
    assert (await pressed(shown, "down", "x")).session is not None
    assert (await pressed(shown, "q")).session is None


async def test_without_failures_enter_does_nothing() -> None:
    view = View(look=look(failed=0))
    assert await pressed(view, "down", "enter", "up", "x") == view


async def test_a_selection_survives_a_shorter_list() -> None:
    view = await pressed(View(look=look()), "down")
    shorter = replace(view, look=look(failed=1))
    assert shorter.failure is shorter.look.failures[0]
