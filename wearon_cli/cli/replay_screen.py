"""Shows bulk replays: while they run, in a live table or line by line, and at the end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.live import Live
from rich.table import Table

from wearon_cli.cli.durations import span_s
from wearon_cli.cli.output import note, stderr_console
from wearon_cli.cli.tables import ByWidth, Column, fitted
from wearon_cli.core.operator.bulk import BulkEnd, BulkProgress
from wearon_cli.core.operator.chances import Outcomes, ReplayChance, replay_chance
from wearon_cli.core.operator.inspector import UNKNOWN
from wearon_cli.core.operator.replay_plan import Plan, at_most_usd, expected_usd

if TYPE_CHECKING:
    from types import TracebackType

#: Narrowest column of reasons.
LEAST_REASON: Final = 16
#: A skipped session: its id, and why.
type LeftOut = tuple[str, str]


def progress_table(now: BulkProgress, total: int) -> Table:
    """The state of a bulk replay at one moment."""
    table = _grid()
    failures = ", ".join(f"{code} {count}" for code, count in now.failures.most_common())
    limited = f", {len(now.waiting)} held back by --max-cost" if now.by_limit else ""
    facts = [
        ("replays", f"{len(now.ends)} of {total} ended, {len(now.open)} running{limited}"),
        ("completed", str(now.succeeded)),
        ("failed", f"{len(now.ends) - now.succeeded}" + (f": {failures}" if failures else "")),
        ("money", _money(now)),
        ("time", _time(now)),
    ]
    for name, fact in facts:
        table.add_row(name, fact)
    return table


@dataclass(slots=True)
class Screen:
    """Shows progress on stderr: a live table on a terminal, otherwise a line for each session that
    ends.
    """

    total: int
    _live: Live | None = None
    _told: set[str] = field(default_factory=set)

    def __enter__(self) -> "Screen":
        console = stderr_console()
        if console.is_terminal:
            self._live = Live(console=console, auto_refresh=False)
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        exc: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, exc, trace)

    def show(self, now: BulkProgress) -> None:
        """Show what changed."""
        if self._live is not None:
            self._live.update(progress_table(now, self.total), refresh=True)
            return
        for end in now.ends:
            session_id = end.plan.session.session_id
            if session_id not in self._told:
                self._told.add(session_id)
                count = f"{len(self._told)} of {self.total}"
                note(f"{count}  {session_id}  {_end_words(end)}  ${now.cost_usd:.2f} so far")


def summary(now: BulkProgress, left_out: Sequence[LeftOut]) -> list[object]:
    """The outcome, grouped by the cause of the first failure."""
    head = (
        f"{len(now.ends)} replayed: {now.succeeded} completed, {len(now.ends) - now.succeeded} "
        f"failed, ${now.cost_usd:.2f}"
    )
    lines: list[object] = [head, "", _causes_table(now.ends)] if now.ends else [head]
    lines += [f"  failed again: {code} ({n})" for code, n in now.failures.most_common()]
    if now.open:
        lines.append(f"{len(now.open)} have not ended and continue in the background")
    if now.waiting:
        lines.append(f"{len(now.waiting)} were not started: they would exceed --max-cost")
    if now.moved:
        lines.append(f"{len(now.moved)} changed meanwhile and were skipped")
    return [*lines, *_left_out_lines(left_out)]


def dry_run(
    plans: Sequence[Plan], left_out: Sequence[LeftOut], known: Outcomes, *, verbose: bool
) -> list[object]:
    """A summary of what many replays would do."""
    buying = [plan for plan in plans if plan.buys]
    most = at_most_usd(buying)
    price = f"about ${expected_usd(buying):.2f}, at most " + (
        "unknown" if most is None else f"${most:.2f}"
    )
    lines: list[object] = [
        f"{len(plans)} sessions can be replayed: {len(buying)} buy a picture ({price}), "
        f"{len(plans) - len(buying)} only complete the row"
    ]
    if plans:
        lines += ["", _chance_table(replay_chances(plans, known))]
    lines += _left_out_lines(left_out)
    if verbose:
        for plan in plans:
            lines += ["", *plan.sentences()]
    return lines


def replay_chances(plans: Sequence[Plan], known: Outcomes) -> list[tuple[ReplayChance, int]]:
    """The chance of each cause among the plans, and how many it has."""
    counts = Counter(plan.report.error_class or UNKNOWN for plan in plans)
    return [(replay_chance(cause, known), count) for cause, count in counts.most_common()]


def bulk_facts(now: BulkProgress, left_out: Sequence[LeftOut]) -> dict[str, object]:
    """A bulk replay as JSON keys."""
    return {
        "sessions": [
            {
                "session_id": end.plan.session.session_id,
                "status": end.ended.report.session.status,
                "succeeded": end.ended.succeeded,
                "cause": end.cause,
                "credit": end.ended.report.credit.state,
                "error_code": end.ended.error_class,
                "cost_usd": round(end.ended.cost_usd, 6),
            }
            for end in now.ends
        ],
        "not_ended": sorted(now.open),
        "not_opened": [plan.session.session_id for plan in now.waiting],
        "left_out": left_out_facts(left_out, now.moved),
        "cost_usd": round(now.cost_usd, 6),
    }


def left_out_facts(
    left_out: Sequence[LeftOut], moved: Sequence[Plan] = ()
) -> list[dict[str, object]]:
    """Skipped sessions as JSON."""
    gone = [(plan.session.session_id, "session_running") for plan in moved]
    return [{"session_id": each, "error_code": code} for each, code in (*left_out, *gone)]


def interrupted_words(now: BulkProgress) -> str:
    """The message after Ctrl-C."""
    return (
        f"{now.opened} were started, {len(now.ends)} of them have ended; the others continue, and "
        f"{len(now.waiting)} were not started"
    )


def _left_out_lines(left_out: Sequence[LeftOut]) -> list[object]:
    counts = Counter(code for _, code in left_out)
    return [f"{count} skipped: {code}" for code, count in counts.most_common()]


def _causes_table(ends: Sequence[BulkEnd]) -> ByWidth:
    """What became of the replays, by the cause of the first failure."""
    parts = _by_cause(ends)
    done = {cause: sum(end.ended.succeeded for end in part) for cause, part in parts.items()}
    return fitted(
        [
            Column(name="first failed by", cells=list(parts)),
            _counts("replayed", [len(part) for part in parts.values()]),
            _counts("completed", list(done.values())),
            _counts("failed", [len(part) - done[cause] for cause, part in parts.items()]),
            Column(name="cost", cells=[_cost(part) for part in parts.values()], is_number=True),
        ]
    )


def _chance_table(found: Sequence[tuple[ReplayChance, int]]) -> ByWidth:
    reasons = [each.reason for each, _ in found]
    return fitted(
        [
            Column(name="failed by", cells=[each.error_class for each, _ in found]),
            _counts("sessions", [count for _, count in found]),
            Column(name="chance", cells=[each.chance.value for each, _ in found]),
            Column(name="because", cells=reasons, least=LEAST_REASON, is_prose=True),
        ]
    )


def _counts(name: str, counts: Sequence[int]) -> Column:
    return Column(name=name, cells=list(map(str, counts)), is_number=True)


def _cost(ends: Sequence[BulkEnd]) -> str:
    return f"${sum(end.ended.cost_usd for end in ends):.2f}"


def _by_cause(ends: Sequence[BulkEnd]) -> dict[str, list[BulkEnd]]:
    found: dict[str, list[BulkEnd]] = {}
    for end in ends:
        found.setdefault(end.cause, []).append(end)
    return dict(sorted(found.items(), key=lambda each: -len(each[1])))


def _end_words(end: BulkEnd) -> str:
    return "completed" if end.ended.succeeded else f"failed: {end.ended.error_class or UNKNOWN}"


def _money(now: BulkProgress) -> str:
    open_usd = now.committed_usd - now.cost_usd
    further = f", at most ${open_usd:.2f} more for those running" if now.open else ""
    return f"${now.cost_usd:.2f} so far{further}"


def _time(now: BulkProgress) -> str:
    left = f", about {span_s(now.left_s)} left" if now.left_s is not None else ""
    return f"{span_s(now.now_s - now.began_s)}{left}"


def _grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    return table
