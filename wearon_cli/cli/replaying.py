"""Runs planned replays: show the plan, ask, open, follow, show the result."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wearon_cli.cli.consent import require_consent
from wearon_cli.cli.model_fetch import ensure_model
from wearon_cli.cli.outcome import followed_result
from wearon_cli.cli.output import Result, note
from wearon_cli.cli.progress import progress
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
from wearon_cli.core.errors import InputError, Interrupted, PictureUnavailable, TryOnFailed
from wearon_cli.core.operator.bulk import Bulk, BulkProgress, at_most_usd, expected_usd
from wearon_cli.core.operator.chances import Outcomes, outcomes_of
from wearon_cli.core.operator.follow import Ended, follow
from wearon_cli.core.operator.inspector import Search
from wearon_cli.core.operator.replay_plan import Plan, ReplayOptions
from wearon_cli.core.session import Status, utc_now

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

#: How far back, and in how many sessions, outcomes of earlier replays are searched for.
KNOWN_SINCE: Final = timedelta(days=7)
KNOWN_SESSIONS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """How to replay."""

    options: ReplayOptions
    yes: bool
    out: Path | None = None
    timeout_s: float = 600.0
    max_cost_usd: float | None = None


async def replay_one(
    plan: Plan, how: Replaying, tools: "OperatorTools", settings: "Settings", *, dry_run: bool
) -> Result:
    """One session: shows its whole plan and its picture."""
    _require_priced([plan], how)
    _require_affordable(plan, how)
    if dry_run:
        return Result(
            data=plan_facts(plan), lines=[*plan.sentences(), "", "nothing was changed (--dry-run)"]
        )
    for sentence in plan.sentences():
        note(sentence)
    await asyncio.to_thread(require_consent, "replay this session?", yes=how.yes)
    ended, elapsed_s = await _followed(plan, how, tools, settings)
    saved = None
    if ended.succeeded and how.out:
        picture = await tools.storage.get(plan.session.result_path)
        saved = _save(how.out, picture)
    return followed_result(ended, picture=saved, elapsed_s=elapsed_s)


async def _followed(
    plan: Plan, how: Replaying, tools: "OperatorTools", settings: "Settings"
) -> tuple[Ended, float]:
    session_id = plan.session.session_id
    with progress(f"session {session_id}") as shown:
        try:
            async with _working_here(settings, how) as work_on:
                await tools.replayer.run(plan)
                work_on(session_id)
                ended = await follow(
                    tools.inspector,
                    plan.session.key,
                    timeout_s=how.timeout_s,
                    on_look=shown.look,
                    before=plan.report,
                )
        except asyncio.CancelledError:
            raise Interrupted(
                f"session {session_id} continues if its job was started",
                hint=f"`wearon session {session_id}` shows its state",
            ) from None
        return ended, shown.elapsed_s


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
    """Many sessions: shows totals, one live table, and a summary by cause."""
    _require_priced(plans, how)
    known = await _known_outcomes(tools)
    if dry_run:
        return _planned(plans, left_out, known, verbose=verbose)
    lines = _sum_lines(plans, left_out, known, verbose=verbose)
    for line in lines:
        note(line)
    await asyncio.to_thread(require_consent, f"replay these {len(plans)} sessions?", yes=how.yes)
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
        async with _working_here(settings, how) as work_on:
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


@asynccontextmanager
async def _working_here(
    settings: "Settings", how: Replaying
) -> AsyncIterator[Callable[[str], None]]:
    """With --now, its jobs run in this process; otherwise it does nothing."""
    if not how.options.works_here:
        yield lambda _: None
        return
    from wearon_cli.runtime.worker.in_process import working_here

    if settings.draws_previews:
        await asyncio.to_thread(ensure_model, settings)
    async with working_here(settings) as work_on:
        yield work_on


async def _known_outcomes(tools: "OperatorTools") -> Outcomes:
    """Outcomes of earlier replays, from the records of the newest ended sessions."""
    found = await tools.inspector.search(
        Search(
            since=utc_now() - KNOWN_SINCE,
            statuses={Status.COMPLETED, Status.FAILED},
            limit=KNOWN_SESSIONS,
        )
    )
    records = [
        (each.session, await tools.inspector.jobs.record(each.session.session_id)) for each in found
    ]
    return outcomes_of(records)


def _require_priced(plans: Sequence[Plan], how: Replaying) -> None:
    if how.max_cost_usd is not None and at_most_usd(plans) is None:
        raise InputError(
            "this model has no price here, so --max-cost cannot be enforced",
            hint="remove --max-cost, or use another --model",
        )


def _require_affordable(plan: Plan, how: Replaying) -> None:
    """Enforce the limit for one session; of bulk replays, as many are opened as the limit
    allows.
    """
    most_usd = plan.price.most_usd
    if how.max_cost_usd is not None and most_usd is not None and most_usd > how.max_cost_usd:
        raise InputError(
            f"it may cost ${most_usd:.2f} with retries, more than --max-cost {how.max_cost_usd:g}",
            hint="raise or remove --max-cost: the price is shown before anything is bought",
        )


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


def plan_facts(plan: Plan) -> dict[str, object]:
    """A plan as JSON keys."""
    row, price = plan.session, plan.price
    return {
        "session_id": row.session_id,
        "channel": row.channel,
        "status": row.status,
        "action": plan.action,
        "credit": plan.report.credit.state,
        "charge": plan.options.charge,
        "picture_stored": plan.report.is_stored,
        "buys": plan.buys,
        "expected_usd": price.expected_usd,
        "most_usd": price.most_usd,
        "inputs": [{"kind": each.kind, "state": each.state} for each in plan.inputs],
        "error_code": plan.report.error_class,
        "plan": plan.sentences(),
    }


def _save(out: Path, picture: bytes) -> Path:
    try:
        out.write_bytes(picture)
    except OSError as exc:
        raise PictureUnavailable(f"cannot write {out}: {exc.strerror}") from exc
    return out
