"""Tables at common widths: ids are never cut, lines are never too long, wide terminals show
more.
"""

from datetime import timedelta

import pytest
from rich.console import Console

from devkit.drawing import drawn
from wearon_cli.cli import looks
from wearon_cli.cli.bars import bar, bars, sparkline
from wearon_cli.cli.looks import STATUS_TONES, Tone, masked_email
from wearon_cli.cli.output import Result, emit
from wearon_cli.cli.session_table import sessions_table
from wearon_cli.cli.timeline import timeline
from wearon_cli.core.operator.inspector import Listed
from wearon_cli.core.session import Channel, Session, Status, utc_now

ID = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d0"
STORE = "77777777-7b1e-7c4a-9f00-3f2c6f0a9d02"
CAUSE = "picture_unavailable"
WIDTHS = (60, 80, 200)


def found(number: int, status: Status, error_class: str | None = None) -> Listed:
    done = status is Status.COMPLETED
    row = Session(
        session_id=f"{ID}{number}",
        channel=Channel.B2B,
        owner_id=STORE,
        status=status,
        created_at=utc_now() - timedelta(minutes=number),
        estimated_cost_usd=0.0693 if done else None,
        processing_time_ms=41_000 if done else None,
        shopper_email="ann@shop.example",
    )
    return Listed(session=row, cause=error_class)


SESSIONS = [
    found(1, Status.COMPLETED),
    found(2, Status.FAILED, CAUSE),
    found(3, Status.PROCESSING),
    found(4, Status.QUEUED),
]


@pytest.mark.parametrize("width", WIDTHS)
def test_sessions_fit_and_no_id_is_cut(width: int) -> None:
    lines = drawn(sessions_table(SESSIONS), width=width)
    assert max(map(len, lines)) <= width
    rows = lines[1:]
    assert [each.session.session_id for each in SESSIONS] == [
        line.split()[0] for line in rows if line.startswith(ID)
    ]
    assert CAUSE in "".join(part.replace(" ", "") for part in lines)


def test_a_wide_terminal_shows_store_masked_shopper_cost_and_time() -> None:
    (head, first, *_) = drawn(sessions_table(SESSIONS), width=200)
    assert head.split()[:4] == ["session", "created", "status", "why"]
    for shown in (STORE, "a...@shop.example", "$0.0693", "41.0 s"):
        assert shown in first
    assert "ann@" not in "".join(drawn(sessions_table(SESSIONS), width=200))


def test_an_id_is_not_cut_on_a_narrower_terminal() -> None:
    lines = drawn(sessions_table(SESSIONS), width=30)
    assert all(any(each.session.session_id in line for line in lines) for each in SESSIONS)


def test_a_cause_is_folded_for_no_further_column() -> None:
    lines = drawn(sessions_table([found(1, Status.FAILED, CAUSE), *SESSIONS[:1]]), width=80)
    assert CAUSE in lines[1]
    assert "cost" not in lines[0]


@pytest.mark.parametrize("width", WIDTHS)
def test_symbols_of_states_are_shown_without_colour(width: int) -> None:
    plain = "\n".join(drawn(sessions_table(SESSIONS), width=width))
    assert "\x1b" not in plain
    for each in SESSIONS:
        assert STATUS_TONES[each.session.status].glyph in plain
    coloured = "\n".join(drawn(sessions_table(SESSIONS), width=width, no_color=False))
    assert "\x1b[32m✓" in coloured
    assert "\x1b[31m✗" in coloured


def test_no_color_is_respected_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    console = Console(force_terminal=True, width=80)
    with console.capture() as captured:
        console.print(Tone.FAILED.text("failed"))
    assert captured.get() == "✗ failed\n"


def test_every_state_has_its_own_symbol() -> None:
    for number in (0, 1):
        assert len({tone.value[number] for tone in Tone}) == len(Tone)


def test_an_ascii_terminal_gets_only_ascii(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(looks, "shows_unicode", lambda: False)
    emit(Result(lines=[sessions_table(SESSIONS)]), command="sessions", as_json=False)
    assert capsys.readouterr().out.isascii()


LINES = [
    {"at": "2026-11-24T09:12:28+00:00", "event": "taken"},
    {
        "at": "2026-11-24T09:12:29+00:00",
        "event": "purchase_submitted",
        "ticket": "resp_0123456789012345678901234567890123456789012345",
    },
    {"at": "2026-11-24T09:12:30+00:00", "event": "row_failed", "error": CAUSE},
]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_timeline_keeps_its_ids_whole(width: int) -> None:
    lines = drawn(timeline(LINES), width=width)
    assert any(str(LINES[1]["ticket"]) in line for line in lines)
    failed = next(line for line in lines if "row_failed" in line)
    assert "✗ row_failed" in failed


def test_text_in_brackets_is_not_a_style() -> None:
    lines = [{"at": "2026-11-24T09:12:28+00:00", "event": "noted", "reason": "[red]not[/] a style"}]
    assert "[red]not[/] a style" in "".join(drawn(timeline(lines), width=100))


def test_a_bar_is_drawn_to_an_eighth() -> None:
    assert [bar(each, width=2) for each in (0, 0.001, 0.5, 0.75, 1, 7)] == [
        "",
        "▏",
        "█",
        "█▌",
        "██",
        "██",
    ]
    assert bars([4, 1, 0], width=4) == ["████", "█", ""]
    assert bars([], width=4) == []


def test_a_sparkline_shows_a_single_failure() -> None:
    assert sparkline([0, 1, 100]) == "·▁█"
    assert sparkline([0, 0]) == "··"
    assert sparkline([5], most=10) == "▄"


def test_an_address_is_masked() -> None:
    assert masked_email("ann@shop.example") == "a...@shop.example"
