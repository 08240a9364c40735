"""Charts match the numbers, and every event of a timeline has words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wearon_cli.adapters.redis import job_reader
from wearon_cli.runtime.web.charts import Bar, bar_chart, meter, nice_top
from wearon_cli.runtime.web.timeline import moments


def heights(svg: str) -> list[float]:
    wide, _, narrow = svg.partition("</svg>")
    found, same = (
        re.findall(r'<rect class="\w+" [^>]*height="([\d.]+)" rx', each) for each in (wide, narrow)
    )
    assert found == same
    return [float(height) for height in found]


def test_a_bar_is_as_high_as_its_number() -> None:
    bars = [
        Bar(label="a", title="a", parts=[("done", 10.0)]),
        Bar(label="b", title="b", parts=[("done", 3.0), ("failed", 2.0)]),
    ]
    whole, done, failed = heights(bar_chart(bars, label="x"))
    assert done + failed == pytest.approx(whole / 2, abs=0.2)
    assert done == pytest.approx(whole * 0.3, abs=0.2)
    assert failed == pytest.approx(whole * 0.2, abs=0.2)


def test_text_in_a_chart_is_escaped() -> None:
    svg = bar_chart([Bar(label="<b>", title='"&', parts=[("done", 1)])], label='<x "')
    assert "<b>" not in svg
    assert '<x "' not in svg
    assert "<title>&#34;&amp;</title>" in svg


def test_an_empty_bar_has_no_parts() -> None:
    svg = bar_chart([Bar(label="a", title="a", parts=[("done", 0.0)])], label="x")
    assert heights(svg) == []


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_a_scale_ends_at_a_round_number_above_the_highest(most: float) -> None:
    top = nice_top(most)
    assert most <= top * (1 + 1e-9)
    assert top <= most * 10 * (1 + 1e-9)
    assert float(f"{top:e}".partition("e")[0]) in {1.0, 2.0, 5.0}


@pytest.mark.parametrize(("part", "whole", "width"), [(0, 0, 0), (1, 4, 25), (9, 3, 100)])
def test_a_meter_is_filled_by_its_share(part: int, whole: int, width: int) -> None:
    assert f'width="{width:.1f}"' in meter(part, whole, label="x")


def test_every_event_of_a_job_has_words_of_its_own() -> None:
    """An event without words is shown by its name, which no support person has to know."""
    assert job_reader.__doc__ is not None
    table = job_reader.__doc__.partition("be absent:")[2].partition("Attempts are")[0]
    events = re.findall(r"^    (\w+(?:, \w+)*)(?:  |$)", table, re.MULTILINE)
    names = [name for line in events for name in line.split(", ")]
    assert {"taken", "purchase_started", "preview_ended", "charged", "closed"} <= set(names)
    [*told] = moments([{"at": "2026-01-01T00:00:00+00:00", "event": name} for name in names])
    plain = {name.replace("_", " ").capitalize() for name in names} - {"Closed", "Picture stored"}
    assert not plain & {each.words for each in told}
