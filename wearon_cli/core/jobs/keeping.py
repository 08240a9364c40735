"""
Storing a picture that was paid for, through outages of storage.

While storage is away the picture is also held in Redis, so that it survives this worker, and
nothing else is bought. A storage that refuses ends the job with this one purchase.
"""

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from wearon_cli.core.errors import (
    JobGaveUp,
    ObjectNotFound,
    QueueUnavailable,
    StorageRefused,
    StoreRefused,
    StoreUnavailable,
    WearonError,
)
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.breakers import STORAGE, Breakers
from wearon_cli.core.jobs.events import LatePictureKept, PictureNotStored, UploadFailed
from wearon_cli.core.jobs.journal import Claim, Journal, PurchaseOutcome
from wearon_cli.core.jobs.last_writes import end_purchase
from wearon_cli.core.pictures.marking import MarkedBy
from wearon_cli.core.pictures.marks import read_marks
from wearon_cli.core.providers import HeldPicture, Ticket, Usage
from wearon_cli.core.session import Session
from wearon_cli.core.storage import SIGNED_URL_LIFE_S, Storage, previous_path

JPEG: Final = "image/jpeg"
#: Pause before storage, or Redis, is tried again.
PAUSE_S: Final = 2.0
#: How long a stopping worker retries to store a picture.
STOPPING_GRACE_S: Final = 8.0
#: An object that is written to test whether storage accepts pictures at all.
PROBE_PATH: Final = "generated/storage-probe.jpg"
#: A grey JPEG of one pixel.
_PROBE: Final = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP//////////////////////////////////////////////////////"
    "////////////////////////////////wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAA//EABQQAQAA"
    "AAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AR//Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoughtPicture:
    """A verified picture, and what it cost."""

    jpeg: bytes
    usage: Usage
    number: int  # of its purchase
    small: bytes | None = None  # the copy for the checks; None: there is none
    outcome: PurchaseOutcome = PurchaseOutcome.KEPT
    ticket: Ticket | None = None  # where its provider keeps it
    marked_by: MarkedBy | None = None  # None: not known any more
    request_id: str | None = None  # the provider's id of its answer

    @property
    def to_hold(self) -> HeldPicture:
        return HeldPicture(jpeg=self.jpeg, usage=self.usage, number=self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Stores bought pictures. One instance serves all jobs of a process."""

    storage: Storage
    journal: Journal
    breakers: Breakers

    async def keep(
        self, claim: Claim, row: Session, picture: BoughtPicture, *, redraw: bool, max_wait_s: float
    ) -> str:
        """
        Store a bought picture and sign its address.

        Args:
            claim: The job.
            row: Its session.
            picture: What was bought.
            redraw: First put the current picture aside.
            max_wait_s: How long to wait while storage does not answer.

        Raises:
            StorageRefused: Storage refuses this picture; its purchase is in the book.
            JobGaveUp: Storage was down for the whole wait; the same.
            StoreUnavailable: The picture is stored, and its address could not be signed.
        """
        work = self._store(claim, row, picture, redraw=redraw, max_wait_s=max_wait_s)
        storing = asyncio.create_task(work)
        try:
            return await asyncio.shield(storing)
        except asyncio.CancelledError:
            await asyncio.wait({storing}, timeout=STOPPING_GRACE_S)
            if not storing.done():
                storing.cancel()
                await self.hold(claim, picture)
            raise

    async def hold(self, claim: Claim, picture: BoughtPicture) -> bool:
        """
        Hold a picture in Redis for the next worker of this job.

        False: it may not be held, because Redis does not answer or has no room.
        """
        try:
            return await self.journal.keep_picture(claim, picture.to_hold)
        except QueueUnavailable:
            return False

    async def keep_for_a_person(self, claim: Claim, row: Session, picture: BoughtPicture) -> None:
        """
        Store a picture that arrived after its session had ended, unless there is one already. The
        row and its credit are not changed; the timeline records it.
        """
        is_stored = await self._put_if_none(row.result_path, picture.jpeg)
        emit(LatePictureKept(is_stored=is_stored))
        await self.journal.note(claim.session_id, "late_picture", stored=is_stored)
        await end_purchase(
            self.journal, claim, PurchaseOutcome.UNUSED, cost_usd=picture.usage.cost_usd
        )

    async def _put_if_none(self, path: str, jpeg: bytes) -> bool:
        try:
            await self.storage.sign(path, life_s=SIGNED_URL_LIFE_S)
        except ObjectNotFound:
            with suppress(StorageRefused):
                await self._put(path, jpeg)
                return True
        return False

    async def require_storage(self) -> None:
        """
        Write a small object, to test whether storage accepts pictures: the probe of its breaker.

        Raises:
            StoreUnavailable, StorageRefused: It does not.
        """
        await self._put(PROBE_PATH, _PROBE)
        await self.breakers.reset(STORAGE)

    async def _store(
        self, claim: Claim, row: Session, picture: BoughtPicture, *, redraw: bool, max_wait_s: float
    ) -> str:
        path = row.result_path
        steps = [partial(self._put, path, picture.jpeg)]
        if redraw and not claim.previous_kept:
            steps.insert(0, partial(self._put_aside, claim, path))
        wait = _Wait(asyncio.get_running_loop().time() + max_wait_s)
        for step in steps:
            try:
                await self._outlast(step, claim, picture, wait)
            except StorageRefused as exc:
                await self._give_up(claim, picture, exc)
                raise
            except (StoreUnavailable, QueueUnavailable) as exc:
                await self._give_up(claim, picture, exc)
                raise JobGaveUp(f"storage was unavailable for {max_wait_s:.0f} s") from exc
        with suppress(QueueUnavailable):  # the picture is stored; now only the row matters
            await self.journal.picture_stored(
                claim, picture.usage, picture.outcome, **_picture_facts(picture)
            )
            await self.breakers.reset(STORAGE)
        return await self.storage.sign(path, life_s=SIGNED_URL_LIFE_S)

    async def _outlast(
        self,
        step: Callable[[], Awaitable[None]],
        claim: Claim,
        picture: BoughtPicture,
        wait: "_Wait",
    ) -> None:
        """Retry a step while storage or Redis is down."""
        clock = asyncio.get_running_loop().time
        while True:
            try:
                return await step()
            except (StoreUnavailable, QueueUnavailable) as exc:
                if clock() > wait.until_s:
                    raise
                wait.is_held = wait.is_held or await self._hold(claim, picture, exc)
                left_s = round(wait.until_s - clock())
                emit(UploadFailed(left_s=left_s, error=exc.code))
                await asyncio.sleep(PAUSE_S)

    async def _put_aside(self, claim: Claim, path: str) -> None:
        """Done once per job, before the new picture is written: later it would copy the new one."""
        try:
            old = await self.storage.get(path)
        except ObjectNotFound:
            return
        await self._put(previous_path(path), old)
        await self.journal.previous_kept(claim)

    async def _put(self, path: str, jpeg: bytes) -> None:
        try:
            await self.storage.put(path, jpeg, content_type=JPEG)
        except StoreRefused as exc:
            raise StorageRefused(str(exc), vendor_code=exc.vendor_code) from exc

    async def _hold(self, claim: Claim, picture: BoughtPicture, error: WearonError) -> bool:
        """Storage is unavailable: buy nothing meanwhile, and hold this picture in Redis."""
        try:
            if isinstance(error, StoreUnavailable):
                await self.breakers.trip(STORAGE, error.code)
            await self.journal.keep_picture(claim, picture.to_hold)
        except QueueUnavailable:
            return False
        return True

    async def _give_up(self, claim: Claim, picture: BoughtPicture, error: WearonError) -> None:
        """The picture is lost. Its purchase is entered in the book once."""
        emit(PictureNotStored(error=error.code, detail=str(error)))
        with suppress(QueueUnavailable):
            if isinstance(error, StorageRefused) and await self._refuses_everything(picture):
                await self.breakers.trip(STORAGE, error.code)
            await self.journal.end_purchase(
                claim, PurchaseOutcome.UNUSED, cost_usd=picture.usage.cost_usd, cause=error
            )

    async def _refuses_everything(self, picture: BoughtPicture) -> bool:
        """Whether the same bytes are refused under another name too: then nothing can be stored."""
        try:
            await self._put(PROBE_PATH, picture.jpeg)
        except (StorageRefused, StoreUnavailable):
            return True
        return False


def _picture_facts(picture: BoughtPicture) -> dict[str, str]:
    """For the timeline: its provider's id of the answer, its marks, and who set them."""
    asked = {"vendor_request_id": picture.request_id} if picture.request_id else {}
    by = {"marked_by": picture.marked_by.value} if picture.marked_by else {}
    return {**asked, "marks": str(read_marks(picture.jpeg)), **by}


@dataclass(slots=True)
class _Wait:
    """How long one picture waits for storage, and whether Redis holds it meanwhile."""

    until_s: float  # by the event loop's clock
    is_held: bool = False
