"""`wearon dead-letters`: payloads that nobody tries again by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result
from wearon_cli.cli.stack import stack_settings
from wearon_cli.core.errors import LetterNotFound
from wearon_cli.core.jobs.dead_letters import DeadLetter
from wearon_cli.core.session import utc_now
from wearon_cli.wiring import OperatorTools, open_operator_tools

app = typer.Typer(
    no_args_is_help=True,
    help="List, show, requeue or drop dead letters.\n\n"
    "A dead letter is a payload that could not be run: not a job by the contract, a job that "
    "killed its workers, or one whose paid calls were lost. Its session was failed and its credit "
    "settled, where a session could be told. Letters are kept for 30 days.",
)

LetterArgument = Annotated[str, typer.Argument(help="Id of the letter, from `list`.")]


@app.command("list")
def list_letters(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most letters shown.")] = 50,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """List the letters, newest first."""

    async def work(tools: OperatorTools) -> Result:
        letters = await tools.dead_letters.list(limit=limit)
        table = Table("letter", "died", "tries", "error", "session", box=None, pad_edge=False)
        for letter in letters:
            died = letter.died_at.astimezone().strftime("%m-%d %H:%M")
            session = letter.session_id or "-"
            table.add_row(letter.letter_id, died, str(letter.attempts), letter.error_code, session)
        data = {"letters": [_facts(letter) for letter in letters]}
        return Result(data=data, lines=[table] if letters else ["no dead letters"])

    return _with_tools(work, local, data_dir)


@app.command()
def show(
    letter_id: LetterArgument, local: LocalOption = False, data_dir: DataDirOption = None
) -> Result:
    """Show one letter: why it died, and its bytes as they came."""

    async def work(tools: OperatorTools) -> Result:
        letter = await _letter(tools, letter_id)
        age_h = (utc_now() - letter.died_at).total_seconds() / 3600
        text = letter.raw.decode("utf-8", "backslashreplace")
        lines = [
            f"letter    {letter.letter_id}",
            f"session   {letter.session_id or 'cannot be told'}",
            f"died      {letter.died_at.astimezone():%Y-%m-%d %H:%M:%S} ({age_h:.1f} h ago)",
            f"error     {letter.error_code}: {letter.reason}",
            f"attempts  {letter.attempts}",
            "",
            text,
        ]
        return Result(data={**_facts(letter), "raw": text}, lines=lines)

    return _with_tools(work, local, data_dir)


@app.command()
def requeue(
    letter_id: LetterArgument, local: LocalOption = False, data_dir: DataDirOption = None
) -> Result:
    """
    Put a letter's bytes back into the queue, and drop the letter.

    Nothing is paid or refunded twice: a worker looks at the session's row first, and a session
    that has ended stays as it is. To run an ended session again, use `wearon replay-task`.
    """

    async def work(tools: OperatorTools) -> Result:
        letter = await _letter(tools, letter_id)
        await tools.intake.push(letter.raw)
        await tools.dead_letters.drop(letter.letter_id)
        return Result(data=_facts(letter), lines=[f"letter {letter_id} is back in the queue"])

    return _with_tools(work, local, data_dir)


@app.command()
def drop(
    letter_id: LetterArgument, local: LocalOption = False, data_dir: DataDirOption = None
) -> Result:
    """Throw a letter away for good."""

    async def work(tools: OperatorTools) -> Result:
        letter = await _letter(tools, letter_id)
        await tools.dead_letters.drop(letter.letter_id)
        return Result(data=_facts(letter), lines=[f"letter {letter_id} is gone"])

    return _with_tools(work, local, data_dir)


def _with_tools(
    work: Callable[[OperatorTools], Awaitable[Result]], local: bool, data_dir: Path | None
) -> Result:
    async def run() -> Result:
        async with open_operator_tools(settings) as tools:
            return await work(tools)

    with stack_settings(local, data_dir, needs_workers=False) as settings:
        return asyncio.run(run())


async def _letter(tools: OperatorTools, letter_id: str) -> DeadLetter:
    letter = await tools.dead_letters.get(letter_id)
    if letter is None:
        raise LetterNotFound(
            f"there is no dead letter {letter_id}", hint="`wearon dead-letters list` shows them"
        )
    return letter


def _facts(letter: DeadLetter) -> dict[str, object]:
    return {
        "letter_id": letter.letter_id,
        "session_id": letter.session_id,
        "error_code": letter.error_code,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "died_at": letter.died_at,
        "size_bytes": len(letter.raw),
    }
