"""
Restores the picture that a redraw replaced, by swapping the two.

    swap := current;  current := previous;  previous := swap;  row signed anew;  swap removed

The swap object exists exactly while the two are being swapped, so a later undo finishes what an
earlier one began. Each picture is in the bucket at all times, whichever process is killed.
"""

from dataclasses import dataclass
from typing import Final

from wearon_cli.core.errors import ObjectNotFound, SessionError, SessionRunning
from wearon_cli.core.jobs.journal import Journal
from wearon_cli.core.locks import RefundLock, pictures_lock
from wearon_cli.core.operator.inspector import Inspector
from wearon_cli.core.session import Session, Sessions, Status, sign_again
from wearon_cli.core.storage import SIGNED_URL_LIFE_S, Storage, previous_path, swap_path

JPEG: Final = "image/jpeg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """Restores earlier pictures."""

    inspector: Inspector
    sessions: Sessions
    storage: Storage
    journal: Journal
    lock: RefundLock

    async def check(self, session_id: str) -> Session:
        """
        Check that there is a picture to restore. Changes nothing.

        Raises:
            InputError, SessionNotFound: As `Inspector.find`.
            SessionError: It is not completed, or has no earlier picture.
            SessionRunning: A worker has it.
        """
        row = await self.inspector.find(session_id)
        await self._require_free(row)
        if row.status is not Status.COMPLETED:
            raise SessionError(
                f"session {row.session_id} is {row.status.value}",
                hint="only a redraw can be undone",
            )
        if not await self.inspector.is_stored(previous_path(row.result_path)):
            raise SessionError(
                f"session {row.session_id} has no earlier picture",
                hint="only `replay-task --force` keeps one",
            )
        return row

    async def run(self, row: Session, *, by: str = "", reason: str = "") -> None:
        """
        Swap the two pictures and sign the row's address again. If interrupted, calling it again
        finishes it.

        Raises:
            SessionRunning: A worker has it, or another undo is running.
        """
        async with self.lock.hold(pictures_lock(row.session_id)) as free:
            if not free:
                raise SessionRunning(
                    f"session {row.session_id}: another undo or a redraw is in progress",
                    hint="try again in a minute",
                )
            await self._require_free(row)
            await self._swap(row.result_path)
            url = await self.storage.sign(row.result_path, life_s=SIGNED_URL_LIFE_S)
            await self.sessions.apply(row.key, sign_again(url))
            asked = {"by": by, "reason": reason}
            facts = {name: value for name, value in asked.items() if value}
            await self.journal.note(row.session_id, "undone", **facts)
            await self.storage.remove(swap_path(row.result_path))

    async def _require_free(self, row: Session) -> None:
        if await self.inspector.jobs.entry(row.session_id) is not None:
            raise SessionRunning(
                f"a worker is running session {row.session_id}", hint="wait for it to end"
            )

    async def _swap(self, path: str) -> None:
        previous, swap = previous_path(path), swap_path(path)
        current = await self._get(path)
        old = await self._get(previous)
        begun = await self._get(swap)
        # Found while `current` is `previous` already: only the last two steps are left. Found
        # beside its copy in `previous`: the last one. Anything else is left from an undo that a
        # redraw overtook, and starts afresh.
        if begun is not None and begun != current and old in {current, begun}:
            await self._put(previous, begun)
        elif old is not None:
            if current is not None:
                await self._put(swap, current)
            await self._put(path, old)
            if current is not None:
                await self._put(previous, current)

    async def _get(self, path: str) -> bytes | None:
        try:
            return await self.storage.get(path)
        except ObjectNotFound:
            return None

    async def _put(self, path: str, jpeg: bytes) -> None:
        await self.storage.put(path, jpeg, content_type=JPEG)
