"""`wearon replay-task`: run sessions again that failed or got stuck."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wearon_cli.cli.durations import SinceOption
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.outcome import check_target, outcome
from wearon_cli.cli.output import Result, note
from wearon_cli.cli.progress import Progress, progress
from wearon_cli.cli.stack import stack_settings
from wearon_cli.core.errors import (
    InputError,
    Interrupted,
    PictureUnavailable,
    SessionError,
    SessionNotFound,
    TryOnFailed,
)
from wearon_cli.core.operator.figures import error_class
from wearon_cli.core.operator.follow import Ending, ending, follow
from wearon_cli.core.operator.replay import Plan, Replayer, ReplayOptions, checked_session_id
from wearon_cli.core.session import Status, utc_now
from wearon_cli.wiring import OperatorTools, open_operator_tools

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings

#: Rows that a search for failed sessions reads at most.
SEARCHED: Final = 10_000


StoreOption = Annotated[str | None, typer.Option(help="With --failed: of this store or user.")]
ErrorOption = Annotated[
    str | None, typer.Option(help="With --failed: failed by this class of error.")
]
LimitOption = Annotated[int, typer.Option(min=1, max=1000, help="With --failed: at most.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="A completed session too: draw its picture again.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
]
PromptOption = Annotated[
    str | None, typer.Option(help="What the image model is told, instead of the row's words.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which failed sessions to run again, instead of ids."""

    since: timedelta
    owner_id: str | None
    error: str | None
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayCommand:
    """What was asked for on the command line, checked."""

    session_ids: tuple[str, ...]
    search: Search | None
    options: ReplayOptions
    dry_run: bool
    asks: bool  # before acting, on a terminal
    works_here: bool
    out: Path | None
    timeout_s: float


def replay_task(
    session_ids: Annotated[
        list[str] | None, typer.Argument(help="The sessions, from either table.")
    ] = None,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="All failed sessions of --since, instead of ids.")
    ] = False,
    since: SinceOption = timedelta(hours=1),
    store: StoreOption = None,
    error: ErrorOption = None,
    limit: LimitOption = 50,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before acting.")] = False,
    now: Annotated[
        bool, typer.Option("--now", help="Work on the queue in this process until they end.")
    ] = False,
    prompt: PromptOption = None,
    model: Annotated[str | None, typer.Option(help="Use this image model.")] = None,
    charge: Annotated[
        bool, typer.Option("--charge", help="Take a credit when it has completed.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; kept in the session's story.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Save the picture here as well (one session).")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Longest time to follow each, in seconds.")
    ] = 600.0,
) -> Result:
    """
    Run sessions again that failed or got stuck.

    Looks each session up in both tables, says what it found and what it would do, asks (on a
    terminal; --yes does not), moves the row back to queued, signs new addresses for its stored
    pictures, pushes its job, and follows it to its end. A picture that is stored already is not
    bought again: then only the row is finished.

    It takes no credit. If the session's credit was returned, the run is a courtesy: if it fails
    too, nothing more is returned. A session that a worker holds is left alone; a completed one is
    refused without --force, which draws the picture again and replaces it.

      wearon replay-task 0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01

      wearon replay-task SESSION_ID --dry-run

      wearon replay-task --failed --since 2h --error rate_limited --yes
    """
    asked = ReplayCommand(
        session_ids=tuple(checked_session_id(each) for each in session_ids or ()),
        search=Search(since=since, owner_id=store, error=error, limit=limit) if failed else None,
        options=ReplayOptions(
            force=force, prompt=prompt, model=model, charge=charge, reason=reason
        ),
        dry_run=dry_run,
        asks=not yes,
        works_here=now,
        out=check_target(out) if out else None,
        timeout_s=timeout,
    )
    _check(asked)
    with stack_settings(local, data_dir, needs_workers=not (dry_run or now)) as settings:
        return asyncio.run(run(asked, settings))


def _check(asked: ReplayCommand) -> None:
    if bool(asked.session_ids) == bool(asked.search):
        raise InputError(
            "which sessions?", hint="give their ids, or --failed with --since; not both"
        )
    if asked.out and len(asked.session_ids) != 1:
        raise InputError("--out is for one session", hint="name one id")


async def run(asked: ReplayCommand, settings: "Settings") -> Result:
    """Plan, say so, ask, do it, follow it."""
    async with open_operator_tools(settings) as tools:
        replayer = _replayer(tools, settings)
        plans, refused = await _plans(asked, tools, replayer)
        if asked.dry_run:
            return _planned(plans, refused)
        for plan in plans:
            _tell(plan, briefly=len(plans) > 1)
        await asyncio.to_thread(_ask, asked, plans)
        async with _working_here(settings, asked):
            endings = [await _again(plan, asked, tools, replayer) for plan in plans]
        if len(asked.session_ids) == 1:
            return await _one(endings[0], asked, tools)
        return _many(endings, refused)


async def _plans(
    asked: ReplayCommand, tools: OperatorTools, replayer: Replayer
) -> tuple[list[Plan], list[tuple[str, SessionError]]]:
    """What can be run again; of several, those that cannot are told and left out."""
    ids = asked.session_ids or await _search(asked.search, tools)
    if len(asked.session_ids) == 1:
        return [await replayer.plan(ids[0], asked.options)], []
    plans, refused = [], []
    for session_id in ids:
        try:
            plans.append(await replayer.plan(session_id, asked.options))
        except SessionError as exc:
            refused.append((session_id, exc))
            note(f"left out: {exc}")
    if not plans:
        raise SessionNotFound("there is nothing to run again", hint="widen --since, or name ids")
    return plans, refused


async def _search(search: Search | None, tools: OperatorTools) -> tuple[str, ...]:
    if search is None:
        return ()
    found: list[str] = []
    for row in await tools.sessions.since(utc_now() - search.since, limit=SEARCHED):
        if row.status is not Status.FAILED or search.owner_id not in {None, row.owner_id}:
            continue
        if search.error and await error_class(row, tools.journal) != search.error:
            continue
        found.append(row.session_id)
        if len(found) == search.limit:
            break
    return tuple(found)


def _tell(plan: Plan, *, briefly: bool) -> None:
    if briefly:
        row = plan.session
        cost = "buys a picture" if plan.buys else "finishes the row, at no cost"
        note(f"{row.session_id} ({row.channel.value}, {row.status.value}): {cost}")
        return
    for sentence in plan.sentences():
        note(sentence)


def _ask(asked: ReplayCommand, plans: Sequence[Plan]) -> None:
    """A person at a terminal is asked; a script has said what it wants by calling."""
    if not asked.asks or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    what = "this session" if len(plans) == 1 else f"these {len(plans)} sessions"
    if not typer.confirm(f"run {what} again?", err=True):
        raise Interrupted("nothing was done")


async def _again(
    plan: Plan, asked: ReplayCommand, tools: OperatorTools, replayer: Replayer
) -> Ending:
    row = plan.session
    with progress(f"session {row.session_id}") as shown:
        await replayer.run(plan)
        last = await _followed(plan, asked, tools, shown)
    if last.session.status is Status.COMPLETED and plan.options.charge:
        await replayer.charge(plan)
        note("a credit was taken for it")
    return last


async def _followed(
    plan: Plan, asked: ReplayCommand, tools: OperatorTools, shown: Progress
) -> Ending:
    row = plan.session
    last = await follow(tools.sessions, row.key, timeout_s=asked.timeout_s, on_look=shown.look)
    return await ending(last, ledger=tools.ledger, journal=tools.journal)


@asynccontextmanager
async def _working_here(settings: "Settings", asked: ReplayCommand) -> AsyncIterator[None]:
    """With --now: a consumer and a runner of our own beside whatever else runs."""
    if not asked.works_here:
        yield
        return
    from wearon_cli.runtime.worker.in_process import work_here

    worker = asyncio.create_task(work_here(settings))
    try:
        yield
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def _one(end: Ending, asked: ReplayCommand, tools: OperatorTools) -> Result:
    row = end.session
    saved = None
    if row.status is Status.COMPLETED and asked.out:
        try:
            asked.out.write_bytes(await tools.storage.get(row.result_path))
        except OSError as exc:
            raise PictureUnavailable(f"{asked.out} cannot be written: {exc.strerror}") from exc
        saved = asked.out
    return outcome(end, picture=saved, elapsed_s=(row.processing_time_ms or 0) / 1000)


def _many(endings: Sequence[Ending], refused: Sequence[tuple[str, SessionError]]) -> Result:
    counts = Counter(end.session.status.value for end in endings)
    data = {
        "sessions": [
            {
                "session_id": end.session.session_id,
                "status": end.session.status,
                "credit": end.credit,
                "error_code": end.error_code,
            }
            for end in endings
        ],
        "left_out": [{"session_id": each, "error_code": exc.code} for each, exc in refused],
    }
    failed = counts["failed"]
    return Result(
        data=data,
        lines=[
            f"{len(endings)} run again: {counts['completed']} completed, {failed} failed; "
            f"{len(refused)} left out"
        ],
        error=TryOnFailed(f"{failed} of {len(endings)} failed again") if failed else None,
    )


def _planned(plans: Sequence[Plan], refused: Sequence[tuple[str, SessionError]]) -> Result:
    facts = [_plan_facts(plan) for plan in plans]
    lines = [sentence for plan in plans for sentence in (*plan.sentences(), "")]
    left_out = [{"session_id": each, "error_code": exc.code} for each, exc in refused]
    data = facts[0] if len(facts) == 1 else {"plans": facts, "left_out": left_out}
    return Result(data=data, lines=[*lines, "nothing was done (--dry-run)"])


def _plan_facts(plan: Plan) -> dict[str, object]:
    row = plan.session
    return {
        "session_id": row.session_id,
        "channel": row.channel,
        "status": row.status,
        "credit": plan.credit,
        "free": plan.is_free,
        "picture_stored": plan.is_stored,
        "buys": plan.buys,
        "plan": plan.sentences(),
    }


def _replayer(tools: OperatorTools, settings: "Settings") -> Replayer:
    return Replayer(
        sessions=tools.sessions,
        ledger=tools.ledger,
        storage=tools.storage,
        intake=tools.intake,
        journal=tools.journal,
        bucket=settings.bucket,
        # The local stack's port changes from run to run: there, the path alone tells.
        store_origin=None if settings.is_local else settings.supabase_url,
    )
