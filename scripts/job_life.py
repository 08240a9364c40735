"""
Draw docs/images/job-life.svg, the life of a job as a sequence: `python -m scripts.job_life`.

It follows the reader's light or dark setting. A test compares the file with what this draws.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "job-life.svg"
LANES: Final = ("platform", "Redis", "consume", "celery", "image provider", "Supabase")
LANE_PX: Final = 150
TOP_PX: Final = 60
STEP_PX: Final = 42
STYLE: Final = """
  text { font: 13px system-ui, sans-serif; fill: #1c2430; }
  .lane { font-weight: 600; text-anchor: middle; } .step { text-anchor: middle; }
  line { stroke: #8a94a6; stroke-width: 1; } .call { stroke: #2458c5; stroke-width: 1.6; }
  .head { fill: #2458c5; } .paper { fill: #ffffff; } .band { fill: #eef2fa; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e8f0; } line { stroke: #5b6575; } .call { stroke: #8fb0ff; }
    .head { fill: #8fb0ff; } .paper { fill: #161a22; } .band { fill: #202735; }
  }
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One arrow; an arrow from a lane to itself is a step within it."""

    start: str
    end: str
    text: str


STEPS: Final = (
    Step("platform", "Supabase", "take the credit, insert the row (queued)"),
    Step("platform", "Redis", "LPUSH the payload"),
    Step("consume", "Redis", "move it to the intake list"),
    Step("consume", "Redis", "write the journal entry"),
    Step("consume", "Redis", "release: send the message"),
    Step("celery", "Redis", "claim the job, get a token"),
    Step("celery", "Supabase", "row to processing; is a picture stored?"),
    Step("celery", "Supabase", "fetch the photos; check them"),
    Step("celery", "Redis", "take a permit, write the purchase down"),
    Step("celery", "image provider", "buy the picture"),
    Step("image provider", "celery", "the picture; check it"),
    Step("celery", "Supabase", "store it, sign its address"),
    Step("celery", "Redis", "write down that it is stored"),
    Step("celery", "Supabase", "row to completed"),
    Step("celery", "Redis", "close the job: timeline, record, book"),
    Step("platform", "Supabase", "the shopper's screen follows the row"),
)


def picture() -> str:
    """The whole file."""
    width, height = LANE_PX * len(LANES), TOP_PX + STEP_PX * len(STEPS) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"',
        '     aria-label="The life of a job, step by step">',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}" rx="8"/>',
        *(_lane(lane, height) for lane in LANES),
        *(_step(number, step) for number, step in enumerate(STEPS)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(lane: str) -> int:
    return LANE_PX * LANES.index(lane) + LANE_PX // 2


def _lane(lane: str, height: int) -> str:
    x = _x(lane)
    return (
        f'<rect class="band" x="{x - 62}" y="12" width="124" height="26" rx="6"/>'
        f'<text class="lane" x="{x}" y="30">{escape(lane)}</text>'
        f'<line x1="{x}" y1="40" x2="{x}" y2="{height - 12}"/>'
    )


def _step(number: int, step: Step) -> str:
    y = TOP_PX + STEP_PX * number + 26
    start, end = _x(step.start), _x(step.end)
    back = -8 if end > start else 8
    middle = (start + end) // 2
    text = escape(step.text)
    room = 7 * len(text)
    middle = min(max(middle, room // 2 + 6), LANE_PX * len(LANES) - room // 2 - 6)
    return (
        f'<rect class="paper" x="{middle - room // 2}" y="{y - 20}" width="{room}" height="16"/>'
        f'<text class="step" x="{middle}" y="{y - 7}">{text}</text>'
        f'<line class="call" x1="{start}" y1="{y}" x2="{end + back}" y2="{y}"/>'
        f'<path class="head" d="M{end} {y} l{back} -4 v8 z"/>'
    )


def main() -> None:
    PICTURE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
