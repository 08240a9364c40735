"""Dead letters for operators: read, replay, delete."""

from collections.abc import Sequence
from dataclasses import dataclass

from wearon_cli.core.errors import InputError, LetterNotFound, SessionFinal, TaskInvalid
from wearon_cli.core.jobs.dead_letters import DeadLetter, DeadLetters
from wearon_cli.core.jobs.journal import Journal
from wearon_cli.core.operator.replay import Replayer
from wearon_cli.core.operator.replay_plan import Plan, ReplayOptions, credit_step


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterTools:
    """
    Reads dead letters, and plans replays of their sessions by the usual rules.

    Raises `QueueUnavailable` when Redis does not answer.
    """

    dead_letters: DeadLetters
    replayer: Replayer
    journal: Journal

    async def list(self, *, limit: int) -> Sequence[DeadLetter]:
        """Newest first."""
        return await self.dead_letters.list(limit=limit)

    async def get(self, letter_id: str) -> DeadLetter:
        """
        One letter.

        Raises:
            LetterNotFound: There is none.
        """
        letter = await self.dead_letters.get(letter_id)
        if letter is None:
            raise LetterNotFound(
                f"there is no dead letter {letter_id}", hint="`wearon dead-letters list` lists them"
            )
        return letter

    async def plan(self, letter: DeadLetter, *, by: str) -> Plan:
        """
        Plan a replay of its session; `Replayer.run` runs it. The letter is kept until the session
        has completed: then the worker drops it.

        Raises:
            InputError: It names no session.
            SessionFinal: Its session is completed; the hint says what is left to do.
            SessionError: As `Replayer.plan`.
        """
        if letter.session_id is None:
            raise InputError(
                f"dead letter {letter.letter_id} names no session, so it cannot be replayed",
                hint="its producer must push it again; `show` prints its payload, `drop` deletes "
                "it",
            )
        options = ReplayOptions(
            by=by,
            reason=f"dead letter {letter.letter_id}",
            letter_id=letter.letter_id,
            payload_urls=_payload_urls(letter),
        )
        try:
            return await self.replayer.plan(letter.session_id, options)
        except SessionFinal as exc:
            report = await self.replayer.inspector.inspect(letter.session_id)
            drop = f"`wearon dead-letters drop {letter.letter_id}`"
            raise SessionFinal(str(exc), hint=f"{credit_step(report.credit)}; {drop}") from exc

    async def drop(self, letter: DeadLetter, *, by: str) -> None:
        """
        Delete it permanently; its session's timeline records who did. Deleting it twice is not an
        error.

        Raises:
            QueueUnavailable: It may or may not be gone.
        """
        if letter.session_id is not None:
            await self.journal.note(
                letter.session_id,
                "letter_dropped",
                letter=letter.letter_id,
                error=letter.error_code,
                by=by,
            )
        await self.dead_letters.drop(letter.letter_id)


def _payload_urls(letter: DeadLetter) -> tuple[str, ...]:
    """The input pictures of a valid payload: it may have more than the row."""
    from wearon_cli.core.contract import parse_task  # imports pydantic

    try:
        return parse_task(letter.raw).image_urls
    except TaskInvalid:
        return ()
