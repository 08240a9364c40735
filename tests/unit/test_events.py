"""Log events: each has one definition, which all callers use and a page describes."""

import ast
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

import wearon_cli
from scripts.events import PAGE, events, page
from wearon_cli.core.events import Event, ObserverFailed, emit, observed_by
from wearon_cli.core.jobs.events import JobCrashed, JobStarted, JobStopped
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops.logs import configure_logs

ROOT = Path(wearon_cli.__file__).parent
#: Fields that `configure_logs` adds to every line.
ADDED = {"event", "level", "role", "timestamp", "exc_info", "exception"}


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def package() -> Iterator[tuple[str, ast.Module]]:
    for path in ROOT.rglob("*.py"):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))


def test_the_page_is_what_the_classes_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m scripts.events"


def test_every_event_of_the_package_is_on_the_page() -> None:
    bases = {"Event", "WarningEvent", "ErrorEvent"}
    defined = {
        node.name
        for _, tree in package()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and bases & {ast.unparse(base) for base in node.bases}
    }
    assert defined - {"WarningEvent", "ErrorEvent"} == {event.__name__ for event in events()}


def test_every_event_is_emitted_somewhere() -> None:
    made = {
        ast.unparse(node.func)
        for _, tree in package()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }
    assert {event.__name__ for event in events()} - made == set()


def test_events_are_logged_in_one_way_only() -> None:
    logging_by_themselves = {
        name
        for name, tree in package()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"get_logger", "getLogger"}
    }
    assert logging_by_themselves == {"core/events.py", "runtime/ops/logs.py"}


def test_names_are_unique() -> None:
    names = [event.name() for event in events()]
    assert len(names) == len(set(names)) > 40


@pytest.mark.parametrize("event", events())
def test_fields_are_plain_and_hide_nothing_that_the_log_adds(event: type[Event]) -> None:
    plain = {str, int, float, bool, str | None, int | None, float | None}
    assert {each.name for each in fields(event)} & ADDED == set()
    assert {each.type for each in fields(event)} <= plain


def test_an_event_is_logged_by_its_name_with_its_level_and_fields() -> None:
    with capture_logs() as lines:
        emit(JobStarted(attempt=2, age_s=1.5))
        emit(JobStopped(error="rate_limited", detail="wait", attempt=2))
    assert lines == [
        {"event": "job_started", "log_level": "info", "attempt": 2, "age_s": 1.5},
        {
            "event": "job_stopped",
            "log_level": "warning",
            "error": "rate_limited",
            "detail": "wait",
            "attempt": 2,
        },
    ]


def test_a_traceback_is_logged_with_its_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(log_format="json"), "test")
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError as exc:
        emit(JobCrashed(kind="ZeroDivisionError"), exc_info=exc)
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["event"], line["level"]) == ("job_crashed", "error")
    assert line["exception"].startswith("Traceback")
    assert "ZeroDivisionError: by nothing" in line["exception"]


def test_observers_are_called_while_they_are_registered() -> None:
    seen: list[Event] = []
    first, second, third = (JobStarted(attempt=n, age_s=0.0) for n in (1, 2, 3))
    emit(first)
    with observed_by(seen.append):
        emit(second)
    emit(third)
    assert seen == [second]


def test_an_observer_that_fails_stops_neither_the_job_nor_other_observers() -> None:
    def fails(_: Event) -> None:
        raise KeyError("took_ms")

    seen: list[Event] = []
    with capture_logs() as lines, observed_by(fails), observed_by(seen.append):
        emit(JobStarted(attempt=1, age_s=0.0))
    assert len(seen) == 1
    logged = [(line["event"], line.get("observed"), line.get("kind")) for line in lines]
    assert logged == [
        (ObserverFailed.name(), "job_started", "KeyError"),
        ("job_started", None, None),
    ]
