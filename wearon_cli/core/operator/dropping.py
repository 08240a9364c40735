"""Throwing a dead letter away, with a line in its session's timeline that says who did."""

from wearon_cli.core.jobs.dead_letters import DeadLetter, DeadLetters
from wearon_cli.core.jobs.journal import Journal


async def drop_letter(
    letters: DeadLetters, journal: Journal, letter: DeadLetter, *, by: str
) -> None:
    """
    Drop it for good.

    Args:
        letters: Where it is kept.
        journal: Keeps the timeline.
        letter: As just read.
        by: The operator.

    Raises:
        QueueUnavailable: It may or may not be gone.
    """
    if letter.session_id is not None:
        await journal.note(
            letter.session_id,
            "letter_dropped",
            letter=letter.letter_id,
            error=letter.error_code,
            by=by,
        )
    await letters.drop(letter.letter_id)
