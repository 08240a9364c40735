"""
Creates a session by hand, the way the platform does: upload, take a credit, insert, push.

If the push fails, it is undone as the platform does it: the row is failed and the credit returned,
and the row's compare-and-swap decides who may do that. Killed before the row, or before the refund,
it leaves a ledger entry that names the session: `wearon reconcile` returns the credit. From the
credit to the push, or to the refund, it has the session's refund lock: nobody else refunds at the
same time, whatever their clocks say. It inserts no row for a credit that was returned: it may have
been suspended for longer than the lock lives.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from wearon_cli.core.credits import refund_text
from wearon_cli.core.cross_checks import PLATFORM_CRON_S
from wearon_cli.core.errors import (
    Interrupted,
    QueueUnavailable,
    StoreRefused,
    StoreUnavailable,
    UpstreamError,
)
from wearon_cli.core.ledger import BY_HAND, EntryKind, Ledger, LedgerEntry, Payer, payer_for
from wearon_cli.core.locks import RefundLock
from wearon_cli.core.prompt import default_prompt
from wearon_cli.core.session import (
    WAITING,
    Channel,
    NewSession,
    Session,
    SessionKey,
    SessionMove,
    Sessions,
    Status,
    fail,
    utc_now,
)
from wearon_cli.core.storage import SIGNED_URL_LIFE_S, Storage

if TYPE_CHECKING:
    from wearon_cli.core.jobs.intake import Intake
    from wearon_cli.core.jobs.journal import Journal

#: The credit of a failed row is returned here within this time of the failure. `reconcile` begins
#: later (`YOUNG`, two minutes), and a refund under way has arrived by then.
MOST_UNDO_S: Final = 60.0
#: From this age on the platform's cron may be refunding the row that was failed here: then
#: `reconcile` decides. Ten minutes, less the time that the cron may take over its rows.
CRON_AGE_S: Final = PLATFORM_CRON_S - 30.0
#: The shopper's message when the job could not be queued.
NOT_QUEUED: Final = QueueUnavailable.shopper_message

_EXTENSIONS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A picture to upload."""

    data: bytes
    content_type: str  # image/jpeg, image/png or image/webp


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A try-on to order. Pictures in order: person, garment, accessories."""

    channel: Channel
    owner_id: str
    pictures: tuple[Upload, ...]
    prompt: str = ""
    shopper_email: str | None = None  # b2b
    shopper_pays: bool = False  # b2b resell: the shopper's credit instead of the store's
    is_free: bool = False  # b2b: a trial that takes no credit and returns none
    by: str = ""  # the operator, for the timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderService:
    """Creates sessions as the platform does."""

    sessions: Sessions
    ledger: Ledger
    storage: Storage
    intake: "Intake"
    journal: "Journal"
    lock: RefundLock

    async def place(self, order: Order) -> Session:
        """
        Make a session and queue its job. Returns the row as inserted.

        Once the credit is being taken, a cancellation waits for the end of it: `Interrupted` then
        names the session.

        Raises:
            NoCreditLeft: The owner has none: nothing was taken, inserted or pushed.
            StoreRefused: No such owner, a credit was taken for this request id before, or it was
                returned before the row was inserted.
            UpstreamError: It could not be queued; the row is failed and the credit returned, or
                `reconcile` does what was not done in time.
        """
        urls = await self._upload(order)
        new = _new_session(order, urls)
        placing = asyncio.create_task(self._place(new, order, urls))
        try:
            return await asyncio.shield(placing)
        except asyncio.CancelledError:
            await asyncio.wait({placing})
            raise _interrupted(placing.result()) from None

    async def _place(self, new: NewSession, order: Order, urls: tuple[str, ...]) -> Session:
        payer = None if order.is_free else payer_for(new, shopper_pays=order.shopper_pays)
        async with self.lock.hold(new.session_id) as free:
            if not free:
                raise StoreUnavailable("the lock of a new session is not free")
            row = await self._created(new, payer)
            try:
                await self.journal.note(row.session_id, "ordered", by=order.by or None)
                await self._push(row, urls, order.prompt)
            except UpstreamError:
                await self._undo(new, payer)
                raise
        return row

    async def _created(self, new: NewSession, payer: Payer | None) -> Session:
        if payer is not None:
            await self._take(new, payer)
        try:
            if payer is not None and _is_returned(await self._entries(new)):
                raise StoreRefused(
                    "the credit of this session was returned before it was created",
                    hint="no session was created; try again",
                )
            return await self.sessions.insert(new)
        except UpstreamError:
            await self._undo(new, payer)
            raise

    async def _upload(self, order: Order) -> tuple[str, ...]:
        now_ms = time.time_ns() // 1_000_000
        urls = []
        for number, picture in enumerate(order.pictures):
            path = upload_path(order, f"{now_ms}-{number}", picture.content_type)
            await self.storage.put(path, picture.data, content_type=picture.content_type)
            urls.append(await self.storage.sign(path, life_s=SIGNED_URL_LIFE_S))
        return tuple(urls)

    async def _take(self, new: NewSession, payer: Payer) -> None:
        try:
            taken = await self.ledger.take(payer, f"{BY_HAND}{new.session_id}")
        except StoreUnavailable as exc:
            if not exc.unsent:
                await self._return_if_taken(new, payer)
            raise
        if not taken:
            raise StoreRefused(
                "the ledger already took a credit for this request id",
                hint="no session was created; try again",
            )

    async def _return_if_taken(
        self, new: NewSession, payer: Payer, *, failed: Session | None = None
    ) -> None:
        """
        Return the credit if it was taken and not returned: the ledger shows both.

        Args:
            new: The session.
            payer: Who paid.
            failed: Its row, as it was failed here.
        """
        entries = await self._entries(new)
        if not any(entry.is_taking for entry in entries) or _is_returned(entries):
            return
        if failed is None or _is_ours_to_return(failed):
            await self.ledger.refund(payer, refund_text(new.session_id))

    async def _entries(self, new: NewSession) -> Sequence[LedgerEntry]:
        return await self.ledger.entries_of(_as_row(new))

    async def _push(self, row: Session, urls: tuple[str, ...], prompt: str) -> None:

        from wearon_cli.core.contract import new_task  # imports pydantic

        task = new_task(
            key=row.key,
            owner_id=row.owner_id,
            image_urls=urls,
            prompt=prompt,
            request_id=row.request_id or f"req_{uuid4()}",
        )
        await self.intake.push(task.to_json())

    async def _undo(self, new: NewSession, payer: Payer | None) -> None:
        """
        Fail the row and return the credit, unless a worker has the job after all: a push whose
        answer was lost may have arrived.
        """
        key = SessionKey(channel=new.channel, session_id=new.session_id)
        failed = await self.sessions.apply(key, _fail_unclaimed())
        if failed is None and await self.sessions.get(key) is not None:
            return
        if payer is not None:
            await self._return_if_taken(new, payer, failed=failed)


def _fail_unclaimed() -> SessionMove:
    """With the time, as the platform's cron writes it: `reconcile` counts from it."""
    move = fail(NOT_QUEUED)
    writes = {**move.writes, "completed_at": utc_now().isoformat()}
    return replace(move, expected=WAITING, writes=writes)


def _is_ours_to_return(failed: Session) -> bool:
    """False when this process was suspended: others may be returning the credit by now."""
    at = failed.completed_at or failed.created_at
    age_s = (at - failed.created_at).total_seconds()
    return age_s < CRON_AGE_S and (utc_now() - at).total_seconds() < MOST_UNDO_S


def _is_returned(entries: Sequence[LedgerEntry]) -> bool:
    return any(entry.kind is EntryKind.REFUND for entry in entries)


def _as_row(new: NewSession) -> Session:
    return Session(
        session_id=new.session_id,
        channel=new.channel,
        owner_id=new.owner_id,
        status=Status.QUEUED,
        created_at=utc_now(),
        request_id=new.request_id,
    )


def _interrupted(row: Session) -> Interrupted:
    return Interrupted(
        f"session {row.session_id} was created and continues",
        hint=f"`wearon session {row.session_id}` shows its state",
    )


def upload_path(order: Order, name: str, content_type: str) -> str:
    """The platform's path of an input picture in the bucket."""
    file = f"{name}.{_EXTENSIONS[content_type]}"
    if order.channel is Channel.B2B:
        return f"stores/{order.owner_id}/uploads/{file}"
    return f"uploads/{order.owner_id}/{file}"


def new_session_id() -> str:
    """
    A uuid of version 7, as the platform's: 48 bits of milliseconds, then random ones.

    Source: RFC 9562, section 5.7. Python has it from 3.14 on.
    """
    now_ms = time.time_ns() // 1_000_000
    number = (now_ms << 80) | secrets.randbits(80)
    number = (number & ~(0xF << 76)) | (0x7 << 76)  # version
    number = (number & ~(0x3 << 62)) | (0x2 << 62)  # variant
    return str(UUID(int=number))


def _new_session(order: Order, urls: tuple[str, ...]) -> NewSession:
    b2b = order.channel is Channel.B2B
    return NewSession(
        session_id=new_session_id(),
        channel=order.channel,
        owner_id=order.owner_id,
        model_image_url=urls[0],
        outfit_image_url=urls[1] if len(urls) > 1 else None,
        # A store's row has no column for accessories: there they are in the payload only.
        accessories=() if b2b else tuple({"type": "accessory", "url": url} for url in urls[2:]),
        prompt_system=order.prompt or default_prompt(len(urls)),
        request_id=f"req_{uuid4()}" if b2b else None,
        shopper_email=order.shopper_email,
    )
