"""`wearon replay-task`: run a session again that failed or got stuck."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from wearon_cli.commands.options import DataDirOption, LocalOption
from wearon_cli.commands.outcome import check_target, told
from wearon_cli.commands.progress import Progress, progress
from wearon_cli.commands.stack import desk_settings
from wearon_cli.core.desk.follow import ending, follow
from wearon_cli.core.desk.replay import Plan, Replayer, Wishes, checked_session_id
from wearon_cli.core.session import Status
from wearon_cli.core.settings import Settings
from wearon_cli.output import Result, note
from wearon_cli.wiring import Desk, open_desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line, checked."""

    session_id: str
    wishes: Wishes
    dry_run: bool
    out: Path | None
    timeout_s: float


def replay_task(
    session_id: Annotated[str, typer.Argument(help="The session, from either table.")],
    local: LocalOption = False,
    data_dir: DataDirOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="A completed session too: draw its picture again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    prompt: Annotated[
        str | None, typer.Option(help="What the image model is told, instead of the row's words.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the session's story.")] = "",
    out: Annotated[Path | None, typer.Option(help="Save the picture here as well.")] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Longest time to follow it, in seconds.")
    ] = 600.0,
) -> Result:
    """
    Run a session again that failed or got stuck.

    Looks the session up in both tables, says what it found, moves the row back to queued, signs
    new addresses for its stored pictures, pushes its job again, and follows it to its end.

    It takes no credit. If the session's credit was returned, the run is a courtesy: if it fails
    too, nothing more is returned. A session that a worker holds is left alone; a completed one is
    refused without --force, which draws the picture again and replaces it.

      wearon replay-task 0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01

      wearon replay-task SESSION_ID --dry-run
    """
    asked = Request(
        session_id=checked_session_id(session_id),
        wishes=Wishes(force=force, prompt=prompt, reason=reason),
        dry_run=dry_run,
        out=check_target(out) if out else None,
        timeout_s=timeout,
    )
    with progress("looking at the session") as shown, desk_settings(local, data_dir) as settings:
        return asyncio.run(run(asked, settings, shown))


async def run(asked: Request, settings: Settings, shown: Progress) -> Result:
    """Plan it, say so, do it, follow it."""
    async with open_desk(settings) as desk:
        replayer = _replayer(desk, settings)
        plan = await replayer.plan(asked.session_id, asked.wishes)
        if asked.dry_run:
            return _planned(plan)
        for sentence in plan.sentences():
            note(sentence)
        await replayer.run(plan)
        row = plan.session
        last = await follow(desk.sessions, row.key, timeout_s=asked.timeout_s, on_look=shown.look)
        end = await ending(last, ledger=desk.ledger, journal=desk.journal)
        if last.status is Status.COMPLETED and asked.out:
            asked.out.write_bytes(await desk.storage.get(last.result_path))
    saved = asked.out if last.status is Status.COMPLETED else None
    return told(end, picture=saved, elapsed_s=shown.elapsed_s)


def _planned(plan: Plan) -> Result:
    row = plan.session
    data = {
        "session_id": row.session_id,
        "channel": row.channel,
        "status": row.status,
        "credit": plan.credit,
        "courtesy": plan.is_courtesy,
        "plan": plan.sentences(),
    }
    return Result(data=data, lines=[*plan.sentences(), "nothing was done (--dry-run)"])


def _replayer(desk: Desk, settings: Settings) -> Replayer:
    return Replayer(
        sessions=desk.sessions,
        ledger=desk.ledger,
        storage=desk.storage,
        intake=desk.intake,
        journal=desk.journal,
        bucket=settings.bucket,
        # The local stack's port changes from run to run: there, the path alone tells.
        store_origin=None if settings.is_local else settings.supabase_url,
    )
