"""Runs a planned replay: shows the plan, asks, opens its job, follows it, shows the result."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wearon_cli.cli.consent import consent
from wearon_cli.cli.model_fetch import ensure_model
from wearon_cli.cli.output import Result, note
from wearon_cli.core.errors import InputError, Interrupted, PictureUnavailable
from wearon_cli.core.operator.replay_plan import Plan, ReplayOptions, at_most_usd

if TYPE_CHECKING:
    from wearon_cli.core.operator.follow import Ended
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools


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
    require_priced([plan], how)
    _require_affordable(plan, how)
    if dry_run:
        return Result(
            data=plan_facts(plan), lines=[*plan.sentences(), "", "nothing was changed (--dry-run)"]
        )
    for sentence in plan.sentences():
        note(sentence)
    await consent("replay this session?", yes=how.yes)
    ended, elapsed_s = await _followed(plan, how, tools, settings)
    from wearon_cli.cli.outcome import followed_result

    saved = None
    if ended.succeeded and how.out:
        picture = await tools.storage.get(plan.session.result_path)
        saved = _save(how.out, picture)
    return followed_result(ended, settings, picture=saved, elapsed_s=elapsed_s)


async def _followed(
    plan: Plan, how: Replaying, tools: "OperatorTools", settings: "Settings"
) -> "tuple[Ended, float]":
    from wearon_cli.cli.progress import progress
    from wearon_cli.core.operator.follow import follow

    session_id = plan.session.session_id
    with progress(f"session {session_id}") as shown:
        try:
            async with working_here(settings, how) as work_on:
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


@asynccontextmanager
async def working_here(
    settings: "Settings", how: Replaying
) -> AsyncIterator[Callable[[str], None]]:
    """With --now, its jobs run in this process; otherwise it does nothing."""
    if not how.options.works_here:
        yield lambda _: None
        return
    from wearon_cli.runtime.worker import in_process

    if settings.draws_previews:
        await asyncio.to_thread(ensure_model, settings)
    async with in_process.working_here(settings) as work_on:
        yield work_on


def require_priced(plans: Sequence[Plan], how: Replaying) -> None:
    """
    Raises:
        InputError: --max-cost was given, and a plan has no price.
    """
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
