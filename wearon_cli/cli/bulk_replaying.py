"""Runs many planned replays: shows the sum, asks, opens their jobs, follows them, sums up."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from wearon_cli.cli.consent import consent
from wearon_cli.cli.output import Result, note
from wearon_cli.cli.replay_screen import (
    LeftOut,
    Screen,
    bulk_facts,
    dry_run,
    interrupted_words,
    left_out_facts,
    replay_chances,
    summary,
)
from wearon_cli.cli.replaying import Replaying, plan_facts, require_priced, working_here
from wearon_cli.core.errors import Interrupted, TryOnFailed
from wearon_cli.core.operator.bulk import Bulk, BulkProgress
from wearon_cli.core.operator.chances import Outcomes, outcomes_of
from wearon_cli.core.operator.replay_plan import Plan, at_most_usd, expected_usd
from wearon_cli.core.operator.search import Wanted
from wearon_cli.core.session import Status, utc_now

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

#: How far back, and in how many sessions, outcomes of earlier replays are looked for.
KNOWN_SINCE: Final = timedelta(days=7)
KNOWN_SESSIONS: Final = 300


async def replay_many(
    plans: Sequence[Plan],
    left_out: Sequence[LeftOut],
    how: Replaying,
    tools: "OperatorTools",
    settings: "Settings",
    *,
    dry_run: bool,
    verbose: bool,
) -> Result:
    """Many sessions: a sum, one live table, a summary by cause."""
    require_priced(plans, how)
    known = await _known_outcomes(tools)
    if dry_run:
        return _planned(plans, left_out, known, verbose=verbose)
    lines = _sum_lines(plans, left_out, known, verbose=verbose)
    for line in lines:
        note(line)
    await consent(f"replay these {len(plans)} sessions?", yes=how.yes)
    now = BulkProgress(waiting=list(plans))
    await _run(now, how, tools, settings)
    failed = len(now.ends) - now.succeeded
    return Result(
        data=bulk_facts(now, left_out),
        lines=summary(now, left_out),
        error=TryOnFailed(f"{failed} of {len(now.ends)} failed again") if failed else None,
    )


async def _run(
    now: BulkProgress, how: Replaying, tools: "OperatorTools", settings: "Settings"
) -> None:
    bulk = Bulk(replayer=tools.replayer, max_cost_usd=how.max_cost_usd)
    given: set[str] = set()
    try:
        async with working_here(settings, how) as work_on:
            with Screen(len(now.waiting)) as screen:

                def on_change(state: BulkProgress) -> None:
                    for session_id in state.open.keys() - given:
                        given.add(session_id)
                        work_on(session_id)
                    screen.show(state)

                await bulk.run(now, timeout_s=how.timeout_s, on_change=on_change)
    except asyncio.CancelledError:
        raise Interrupted(
            interrupted_words(now),
            hint="`wearon sessions` lists them; the same command continues with the rest",
        ) from None


async def _known_outcomes(tools: "OperatorTools") -> Outcomes:
    """Outcomes of earlier replays, from the records of the newest ended sessions."""
    page = await tools.search.find(
        Wanted(
            since=utc_now() - KNOWN_SINCE,
            statuses=frozenset({Status.COMPLETED, Status.FAILED}),
            limit=KNOWN_SESSIONS,
        )
    )
    return outcomes_of([(each.session, each.record) for each in page.sessions])


def _sum_lines(
    plans: Sequence[Plan], left_out: Sequence[LeftOut], known: Outcomes, *, verbose: bool
) -> list[str]:
    buying = [plan for plan in plans if plan.buys]
    most_usd = at_most_usd(buying)
    most = "an unknown amount" if most_usd is None else f"${most_usd:.2f}"
    lines = [
        f"{len(plans)} sessions to replay: {len(buying)} buy a picture, about "
        f"${expected_usd(buying):.2f}, at most {most}; {len(left_out)} skipped"
    ]
    lines += [
        f"  {count} failed by {each.error_class}: chance {each.chance.value}, {each.reason}"
        for each, count in replay_chances(plans, known)
    ]
    if verbose:
        lines += [sentence for plan in plans for sentence in ("", *plan.sentences())]
    return lines


def _planned(
    plans: Sequence[Plan], left_out: Sequence[LeftOut], known: Outcomes, *, verbose: bool
) -> Result:
    buying = [plan for plan in plans if plan.buys]
    most_usd = at_most_usd(buying)
    data = {
        "plans": [plan_facts(plan) for plan in plans],
        "left_out": left_out_facts(left_out),
        "buys": len(buying),
        "expected_usd": round(expected_usd(buying), 4),
        "most_usd": None if most_usd is None else round(most_usd, 4),
        "causes": [
            {
                "error_code": each.error_class,
                "sessions": count,
                "chance": each.chance,
                "reason": each.reason,
            }
            for each, count in replay_chances(plans, known)
        ],
    }
    lines = dry_run(plans, left_out, known, verbose=verbose)
    return Result(data=data, lines=[*lines, "", "nothing was changed (--dry-run)"])
