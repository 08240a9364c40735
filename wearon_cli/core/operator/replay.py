"""
Running a session again that ended or got stuck.

Nothing here pays: the job goes the same way as any other, and settlement looks at the ledger, so a
credit that was returned once is not returned twice. The row moves by compare-and-swap, so a replay
loses against any worker that still holds it.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

from wearon_cli.core.credits import EntryKind, Ledger
from wearon_cli.core.errors import (
    InputError,
    ObjectNotFound,
    PictureUnavailable,
    SessionFinal,
    SessionNotFound,
    SessionRunning,
    UpstreamError,
)
from wearon_cli.core.jobs.journal import Journal
from wearon_cli.core.operator.follow import CreditFate, credit_fate
from wearon_cli.core.session import (
    WAITING,
    Channel,
    NewSession,
    Session,
    SessionMove,
    Sessions,
    Status,
    reopen,
    utc_now,
)
from wearon_cli.core.storage import SIGNED_URL_LIFE_S, Storage

if TYPE_CHECKING:
    from wearon_cli.core.jobs.intake import Intake

#: A signed or public address of an object, as the storage server writes it.
_STORED: Final = re.compile(r"/object/(?:sign|public|authenticated)/(?P<bucket>[^/]+)/(?P<path>.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What the operator asks for."""

    force: bool = False  # a completed session too: draw its picture again
    prompt: str | None = None  # instead of the row's own
    model: str | None = None  # instead of the configured ones
    charge: bool = False  # take a credit when it has completed
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a replay would do, before it does it."""

    session: Session
    credit: CreditFate
    options: ReplayOptions
    is_stored: bool  # its picture is in the bucket already
    signs_anew: int  # input pictures of ours: their addresses are made anew

    @property
    def buys(self) -> bool:
        """True when a picture is going to be paid for."""
        return not self.is_stored or self.options.force

    @property
    def is_free(self) -> bool:
        """True when the credit went back earlier: this run takes none and owes none."""
        return self.credit is CreditFate.RETURNED

    def sentences(self) -> list[str]:
        """The plan in plain words."""
        row = self.session
        age = _age(utc_now() - row.created_at)
        told = [f"session {row.session_id} ({row.channel.value}) is {row.status.value}, {age} old"]
        if row.status is Status.FAILED:
            told.append(f"the shopper read: {row.error_message or '(nothing)'}")
        if row.status is Status.COMPLETED:
            told.append("its picture is drawn again and replaced; the old one is gone then")
        if row.channel is Channel.B2B:
            told.append("a store's row keeps no accessories: only person and garment are sent")
        if self.buys:
            told.append(f"new addresses are signed for {self.signs_anew} stored input pictures")
        else:
            told.append("its picture is stored already: this only finishes the row, at no cost")
        told.append(_CREDIT_WORDS[self.credit])
        if self.options.charge:
            told.append("a credit is taken when it has completed (--charge)")
        return told


_CREDIT_WORDS: Final = {
    CreditFate.SPENT: "its credit is spent: this run takes no other",
    CreditFate.RETURNED: (
        "its credit was returned: this run is free and takes none; "
        "if it fails, nothing more is owed"
    ),
    CreditFate.NOT_TAKEN: "no credit was taken for it, and this run takes none",
    CreditFate.OVERAGE: "it was charged outside the credits; this run charges nothing",
    CreditFate.PENDING: "its credit is still taken: it pays for this run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayer:
    """Runs sessions again."""

    sessions: Sessions
    ledger: Ledger
    storage: Storage
    intake: "Intake"
    journal: Journal
    bucket: str
    store_origin: str | None = None  # only addresses of this origin are ours; None: of any

    async def plan(self, session_id: str, options: ReplayOptions) -> Plan:
        """
        Read everything and decide, changing nothing.

        Raises:
            InputError: This is not a session id.
            SessionNotFound: No such row in either table.
            SessionRunning: A worker has it, or will have it.
            SessionFinal: It is completed, and `force` was not asked for.
        """
        row = await self._find(session_id)
        if row.status is Status.PROCESSING or await self.journal.is_open(row.session_id):
            raise SessionRunning(
                f"session {row.session_id} is being worked on right now ({row.status.value})",
                hint="wait for its end; a job whose worker died is back at work within 45 s",
            )
        if row.status is Status.COMPLETED and not options.force:
            raise SessionFinal(
                f"session {row.session_id} is completed: it has its picture",
                hint="--force draws it again and replaces it",
            )
        return Plan(
            session=row,
            credit=await self._credit(row),
            options=options,
            is_stored=await self._is_stored(row),
            signs_anew=sum(self.stored_path(url) is not None for url in input_urls(row)),
        )

    async def run(self, plan: Plan) -> None:
        """
        Reopen the row and push its job.

        Raises:
            PictureUnavailable: An input picture is not stored any more; nothing was changed.
            SessionRunning: The row moved since the plan was made.
            UpstreamError: The job could not be queued; the row is as it was.
        """
        from wearon_cli.core.contract import ReplayRequest, new_task  # brings pydantic

        row = plan.session
        urls = [await self._fresh_address(url) for url in input_urls(row)]
        if row.status.is_final and await self.sessions.apply(row.key, reopen(row.status)) is None:
            raise SessionRunning(f"session {row.session_id} moved on meanwhile: nothing was done")
        task = new_task(
            key=row.key,
            owner_id=row.owner_id,
            image_urls=tuple(urls),
            prompt=row.prompt_system if plan.options.prompt is None else plan.options.prompt,
            request_id=row.request_id or f"req_{uuid4()}",
            replay=ReplayRequest(
                fresh=plan.options.force, model=plan.options.model, reason=plan.options.reason
            ),
        )
        try:
            await self.intake.push(task.to_json())
        except UpstreamError:
            await self.sessions.apply(row.key, _put_back(row))
            raise
        await self.journal.note(
            row.session_id, "replayed", was=row.status.value, reason=plan.options.reason
        )

    async def charge(self, plan: Plan) -> None:
        """
        Take the credit of a completed replay, from whoever paid for the session.

        A store's is taken once a session, however often it is called: the ledger refuses another.

        Raises:
            StoreRefused: No credit left, or it was taken before.
        """
        row = plan.session
        request_id = f"replay_{row.session_id}" if row.channel is Channel.B2B else None
        again = NewSession(
            session_id=row.session_id,
            channel=row.channel,
            owner_id=row.owner_id,
            model_image_url=row.model_image_url,
            request_id=request_id,
            shopper_email=row.shopper_email,
        )
        why = f"Try-on: session {row.session_id} run again"
        await self.ledger.take(again, shopper_pays=await self._shopper_paid(row), description=why)

    async def _shopper_paid(self, row: Session) -> bool:
        if row.channel is Channel.B2C or not row.request_id:
            return False
        entries = await self.ledger.store_entries(row.owner_id, row.request_id)
        return any(
            entry.kind is EntryKind.DEDUCTION and "(shopper=" in entry.description
            for entry in entries
        )

    async def _is_stored(self, row: Session) -> bool:
        try:
            await self.storage.sign(row.result_path, life_s=60)
        except ObjectNotFound:
            return False
        return True

    async def _find(self, session_id: str) -> Session:
        wanted = checked_session_id(session_id)
        row = await self.sessions.find(wanted)
        if row is None:
            tables = " and ".join(channel.table for channel in Channel)
            raise SessionNotFound(
                f"there is no session {wanted}", hint=f"looked in {tables}; is the id complete?"
            )
        return row

    async def _credit(self, row: Session) -> CreditFate:
        if row.status is Status.COMPLETED:
            return CreditFate.SPENT
        return await credit_fate(row, self.ledger)

    async def _fresh_address(self, url: str) -> str:
        path = self.stored_path(url)
        if path is None:
            return url
        try:
            return await self.storage.sign(path, life_s=SIGNED_URL_LIFE_S)
        except ObjectNotFound as exc:
            raise PictureUnavailable(
                "an input picture of this session is not stored any more",
                hint="the shopper has to upload it again; nothing was changed",
            ) from exc

    def stored_path(self, url: str) -> str | None:
        """Path inside our bucket that this address serves; None when it is somebody else's."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if self.store_origin and origin != self.store_origin.rstrip("/"):
            return None
        found = _STORED.search(parts.path)
        if found is None or found["bucket"] != self.bucket:
            return None
        return unquote(found["path"])


def checked_session_id(text: str) -> str:
    """
    The id as the tables hold it.

    Raises:
        InputError: This is not a session id.
    """
    try:
        return str(UUID(text))
    except ValueError as exc:
        raise InputError(
            f"{text!r} is not a session id",
            hint="a session id looks like 0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01",
        ) from exc


def input_urls(row: Session) -> tuple[str, ...]:
    """The row's input pictures in the contract's order: person, garment, accessories."""
    garment = (row.outfit_image_url,) if row.outfit_image_url else ()
    return (row.model_image_url, *garment, *(each["url"] for each in row.accessories))


def _put_back(row: Session) -> SessionMove:
    """Undo a reopening whose job could not be queued."""
    completed_at = row.completed_at.isoformat() if row.completed_at else None
    return SessionMove(
        expected=WAITING,
        to=row.status,
        writes={"error_message": row.error_message, "completed_at": completed_at},
    )


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds()) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
