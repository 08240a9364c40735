"""`wearon dead-letters`: payloads that are not retried automatically."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wearon_cli.cli.consent import YesOption, consent
from wearon_cli.cli.durations import local as local_time
from wearon_cli.cli.operator import operator_name, with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption, OperatorOption
from wearon_cli.cli.output import Result, note
from wearon_cli.core.session import utc_now

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wearon_cli.core.jobs.dead_letters import DeadLetter
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="List, show, requeue or drop dead letters.\n\nA dead letter is a payload that could not "
    "be run: it breaks the queue contract, its job killed its workers, or its paid calls "
    "were lost. If it names a session, that session was failed and its credit settled. Dead "
    "letters are kept for 30 days.",
)

LetterArgument = Annotated[str, typer.Argument(help="Dead letter id, from `list`.")]


@app.command("list")
def list_letters(
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, help="Show at most this many dead letters.")
    ] = 50,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """List dead letters, newest first."""

    async def work(tools: "OperatorTools") -> Result:
        letters = await tools.dead_letters.list(limit=limit)
        data = {"letters": [_facts(letter) for letter in letters]}
        return Result(data=data, lines=[_table(letters)] if letters else ["no dead letters"])

    return _with_tools(work, local, data_dir)


@app.command()
def show(
    letter_id: LetterArgument, local: LocalOption = False, data_dir: DataDirOption = None
) -> Result:
    """Show one dead letter: the reason and the raw payload."""

    async def work(tools: "OperatorTools") -> Result:
        letter = await tools.letters.get(letter_id)
        age_h = (utc_now() - letter.died_at).total_seconds() / 3600
        text = letter.raw.decode("utf-8", "backslashreplace")
        lines = [
            f"letter    {letter.letter_id}",
            f"session   {letter.session_id or 'not known'}",
            f"added     {letter.died_at.astimezone():%Y-%m-%d %H:%M:%S} ({age_h:.1f} h ago)",
            f"error     {letter.error_code}: {letter.reason}",
            f"attempts  {letter.attempts}",
            "",
            text,
        ]
        return Result(data={**_facts(letter), "raw": text}, lines=lines)

    return _with_tools(work, local, data_dir)


@app.command()
def requeue(
    letter_id: LetterArgument,
    yes: YesOption = False,
    operator: OperatorOption = None,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    Replay a dead letter's session, as `wearon replay-task` does.

    Shows the plan and asks first; without a terminal it needs --yes. The dead letter is dropped
    when the session completes.
    """

    async def work(tools: "OperatorTools") -> Result:
        from wearon_cli.cli.replaying import plan_facts

        letter = await tools.letters.get(letter_id)
        plan = await tools.letters.plan(letter, by=operator_name(operator))
        for sentence in plan.sentences():
            note(sentence)
        await consent("replay this session?", yes=yes)
        await tools.replayer.run(plan)
        lines = [
            f"session {letter.session_id} is being replayed; "
            "the dead letter is dropped when it completes",
            f"`wearon session {letter.session_id}` shows its state",
        ]
        return Result(data={**_facts(letter), **plan_facts(plan)}, lines=lines)

    return _with_tools(work, local, data_dir)


@app.command()
def drop(
    letter_id: LetterArgument,
    yes: YesOption = False,
    operator: OperatorOption = None,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """Permanently delete a dead letter. Asks first; without a terminal it needs --yes."""
    by = operator_name(operator)

    async def work(tools: "OperatorTools") -> Result:
        letter = await tools.letters.get(letter_id)
        question = f"permanently delete dead letter {letter_id} ({letter.error_code})?"
        await consent(question, yes=yes)
        await tools.letters.drop(letter, by=by)
        return Result(data=_facts(letter), lines=[f"dead letter {letter_id} deleted"])

    return _with_tools(work, local, data_dir)


def _with_tools(
    work: Callable[["OperatorTools"], Awaitable[Result]], local: bool, data_dir: Path | None
) -> Result:
    async def run(tools: "OperatorTools", _: "Settings") -> Result:
        return await work(tools)

    return with_tools(run, local=local, data_dir=data_dir)


def _table(letters: "Sequence[DeadLetter]") -> "RenderableType":
    from wearon_cli.cli.tables import Column, fitted

    added = [local_time(letter.died_at) for letter in letters]
    tries = [str(letter.attempts) for letter in letters]
    return fitted(
        [
            Column(name="letter", cells=[letter.letter_id for letter in letters]),
            Column(name="added", cells=added, rank=2),
            Column(name="tries", cells=tries, rank=3, is_number=True),
            Column(name="error", cells=[letter.error_code for letter in letters], rank=1, least=8),
            Column(name="session", cells=[letter.session_id or "-" for letter in letters]),
            Column(name="reason", cells=[letter.reason for letter in letters], rank=4, least=30),
        ]
    )


def _facts(letter: "DeadLetter") -> dict[str, object]:
    return {
        "letter_id": letter.letter_id,
        "session_id": letter.session_id,
        "error_code": letter.error_code,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "died_at": letter.died_at,
        "size_bytes": len(letter.raw),
    }
