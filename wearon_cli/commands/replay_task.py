"""`wearon replay-task`: run sessions again that failed or got stuck, or bring a picture back."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wearon_cli.cli.consent import YesOption, consent
from wearon_cli.cli.durations import AN_HOUR, SinceOption
from wearon_cli.cli.operator import operator_name, with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption, OperatorOption
from wearon_cli.cli.output import Result, note
from wearon_cli.core.errors import InputError, SessionError, SessionNotFound
from wearon_cli.core.session import Status, utc_now

if TYPE_CHECKING:
    from wearon_cli.cli.replaying import Replaying
    from wearon_cli.core.operator.replay_plan import Plan
    from wearon_cli.core.operator.search import Wanted
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

StoreOption = Annotated[
    str | None, typer.Option(help="With --failed: only sessions of this store or user.")
]
ErrorOption = Annotated[
    str | None, typer.Option(help="With --failed: only sessions with this error class.")
]
LimitOption = Annotated[
    int, typer.Option(min=1, max=1000, help="With --failed: at most this many sessions.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Also redraw completed sessions.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="With several sessions: print the plan of each.")
]
NowOption = Annotated[
    bool,
    typer.Option("--now", help="Run only these jobs, in this process."),
]
PromptOption = Annotated[
    str | None, typer.Option(help="Prompt for the image model, instead of the session's.")
]
ChargeOption = Annotated[
    bool, typer.Option("--charge", help="Take a credit for the replay before generating.")
]
MaxCostOption = Annotated[
    float | None,
    typer.Option(min=0.0, metavar="USD", help="Start no more replays than this can pay for."),
]
UndoOption = Annotated[
    bool, typer.Option("--undo", help="Restore the picture that a redraw replaced.")
]
TimeoutOption = Annotated[
    float, typer.Option(min=1, help="Stop following after this many seconds.")
]


SessionsArgument = Annotated[list[str] | None, typer.Argument(help="Session ids (b2c or b2b).")]
FailedOption = Annotated[
    bool, typer.Option("--failed", help="All failed sessions within --since, instead of ids.")
]
ModelOption = Annotated[str | None, typer.Option(help="Use this image model.")]
ReasonOption = Annotated[str, typer.Option(help="Reason, recorded in the session's timeline.")]
OutOption = Annotated[
    Path | None, typer.Option(help="Also save the picture here (one session only).")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayCommand:
    """What was asked for on the command line, checked."""

    session_ids: tuple[str, ...]
    search: "Wanted | None"  # instead of ids
    dry_run: bool
    verbose: bool
    undo: bool
    how: "Replaying"

    @property
    def is_one(self) -> bool:
        return len(self.session_ids) == 1

    @property
    def needs_workers(self) -> bool:
        """A local stack is started with its workers."""
        return not (self.dry_run or self.undo or self.how.options.works_here)


def replay_task(
    session_ids: SessionsArgument = None,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
    failed: FailedOption = False,
    since: SinceOption = AN_HOUR,
    store: StoreOption = None,
    error: ErrorOption = None,
    limit: LimitOption = 50,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    verbose: VerboseOption = False,
    yes: YesOption = False,
    now: NowOption = False,
    prompt: PromptOption = None,
    model: ModelOption = None,
    charge: ChargeOption = False,
    max_cost: MaxCostOption = None,
    undo: UndoOption = False,
    reason: ReasonOption = "",
    operator: OperatorOption = None,
    out: OutOption = None,
    timeout: TimeoutOption = 600.0,
) -> Result:
    """
    Replay sessions that failed or are stuck.

    Shows what it found, what it would do and the cost, and asks first; without a terminal it needs
    --yes. Then it starts the jobs and follows them to their end. The row does not change until the
    new picture is stored, so a replay that fails or is stopped changes nothing. A picture that is
    already stored is not bought again: only the row is completed.

    It takes no credit unless --charge is given. It refuses a session that a worker holds. A
    completed session needs --force: a new picture is generated, the current one is kept, and --undo
    restores it.

      wearon replay-task 0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01

      wearon replay-task SESSION_ID --dry-run

      wearon replay-task --failed --since 2h --error rate_limited --max-cost 5 --yes

      wearon replay-task SESSION_ID --undo
    """
    from wearon_cli.cli.replaying import Replaying
    from wearon_cli.core.operator.replay_plan import ReplayOptions

    options = ReplayOptions(
        force=force,
        prompt=prompt,
        model=model,
        charge=charge,
        works_here=now,
        by=operator_name(operator),
        reason=reason,
    )
    command = ReplayCommand(
        session_ids=_checked(session_ids or ()),
        search=_search(since, store, error, limit) if failed else None,
        dry_run=dry_run,
        verbose=verbose,
        undo=undo,
        how=Replaying(
            options=options, yes=yes, out=_target(out), timeout_s=timeout, max_cost_usd=max_cost
        ),
    )
    _check(command)
    return with_tools(
        partial(run, command), local=local, data_dir=data_dir, needs_workers=command.needs_workers
    )


def _checked(session_ids: Sequence[str]) -> tuple[str, ...]:
    from wearon_cli.core.operator.inspector import checked_session_id

    return tuple(dict.fromkeys(map(checked_session_id, session_ids)))


def _target(out: Path | None) -> Path | None:
    from wearon_cli.cli.outcome import check_target

    return check_target(out) if out else None


def _search(since: timedelta, owner: str | None, error: str | None, limit: int) -> "Wanted":
    from wearon_cli.core.operator.filters import checked_error_class
    from wearon_cli.core.operator.search import MOST_SEARCHED, Wanted

    return Wanted(
        since=utc_now() - since,
        statuses=frozenset({Status.FAILED}),
        owner=owner or "",
        cause=checked_error_class(error) or "",
        limit=limit,
        most_looked_at=MOST_SEARCHED,
    )


def _check(command: ReplayCommand) -> None:
    if bool(command.session_ids) == (command.search is not None):
        raise InputError(
            "no sessions specified", hint="specify session ids, or --failed with --since"
        )
    if command.how.out and not command.is_one:
        raise InputError("--out works with one session only", hint="specify one id")
    if command.undo and not command.is_one:
        raise InputError("--undo works with one session only", hint="specify one id")


async def run(command: ReplayCommand, tools: "OperatorTools", settings: "Settings") -> Result:
    """Plan, show the plan, ask, run it, follow it."""
    if command.undo:
        return await _undo(command, tools)
    if command.is_one:
        from wearon_cli.cli.replaying import replay_one

        plan = await tools.replayer.plan(command.session_ids[0], command.how.options)
        return await replay_one(plan, command.how, tools, settings, dry_run=command.dry_run)
    from wearon_cli.cli.bulk_replaying import replay_many

    plans, left_out = await _plans(await _ids(command, tools), command, tools)
    return await replay_many(
        plans,
        left_out,
        command.how,
        tools,
        settings,
        dry_run=command.dry_run,
        verbose=command.verbose,
    )


async def _undo(command: ReplayCommand, tools: "OperatorTools") -> Result:
    row = await tools.undo.check(command.session_ids[0])
    note(f"swaps the earlier and the current picture of session {row.session_id}")
    if not command.dry_run:
        question = f"restore the earlier picture of {row.session_id}?"
        await consent(question, yes=command.how.yes)
        options = command.how.options
        await tools.undo.run(row, by=options.by, reason=options.reason)
    done = (
        "nothing was changed (--dry-run)" if command.dry_run else "the earlier picture is restored"
    )
    return Result(data={"session_id": row.session_id, "undone": not command.dry_run}, lines=[done])


async def _ids(command: ReplayCommand, tools: "OperatorTools") -> Sequence[str]:
    search = command.search
    if search is None:
        return command.session_ids
    found = (await tools.search.find(search)).sessions
    if not found and search.since and (wanted := search.owner):
        from wearon_cli.core.operator.filters import near_owners
        from wearon_cli.core.operator.search import MOST_SEARCHED

        rows = await tools.sessions.since(search.since, limit=MOST_SEARCHED)
        if near := near_owners(wanted, rows):
            raise SessionNotFound(
                f"no sessions of {wanted} in this period",
                hint=f"there are sessions of {', '.join(near)}",
            )
    return [each.session.session_id for each in found]


async def _plans(
    session_ids: Sequence[str], command: ReplayCommand, tools: "OperatorTools"
) -> "tuple[list[Plan], list[tuple[str, str]]]":
    """What can be replayed, and what is skipped, with the error class that says why."""
    from wearon_cli.core.operator.inspector import AT_ONCE
    from wearon_cli.core.operator.replay_plan import Plan

    free = asyncio.Semaphore(AT_ONCE)

    async def plan(session_id: str) -> Plan | tuple[str, str]:
        async with free:
            try:
                return await tools.replayer.plan(session_id, command.how.options)
            except (SessionError, InputError) as exc:
                if command.verbose:
                    note(f"skipped: {exc}")
                return session_id, exc.code

    found = await asyncio.gather(*map(plan, session_ids))
    plans = [each for each in found if isinstance(each, Plan)]
    if not plans:
        raise SessionNotFound(
            f"there is nothing to replay ({len(found)} skipped)",
            hint="widen --since, or use --verbose to see why they were skipped",
        )
    return plans, [each for each in found if not isinstance(each, Plan)]
