"""
Reads everything known about a session and changes nothing.

The row shows what the shopper sees, the ledger what was paid, the timeline and the record what the
workers did, the bucket whether there is a picture, and the journal where its job is. Every operator
command reads sessions through this module.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from uuid import UUID

from wearon_cli.core.checks.findings import SUSPECT
from wearon_cli.core.credit_facts import CreditNotes, CreditReader
from wearon_cli.core.credits import Credit, CreditFacts, credit_of
from wearon_cli.core.errors import InputError, ObjectNotFound, SessionNotFound, TaskInvalid
from wearon_cli.core.jobs.journal import JobEntry, JobReader, JobState, SessionRecord
from wearon_cli.core.operator.inputs import InputPicture, InputReader
from wearon_cli.core.session import Channel, Session, Sessions, Status
from wearon_cli.core.storage import Storage

if TYPE_CHECKING:
    from wearon_cli.core.contract import ReplayRequest
    from wearon_cli.core.jobs.intake import Intake

#: A signed address is only requested to see whether the object exists.
LOOK_LIFE_S: Final = 60
#: Sessions looked at together: their rows, and all that is known of them.
BATCH: Final = 500
AT_ONCE: Final = 16
#: Most stores that a hint names.
NEAR_STORES: Final = 5
#: The class of error when neither timeline nor record exists any more.
UNKNOWN: Final = "unknown"


class JobLocation(StrEnum):
    """Where a session's job is now."""

    QUEUE = "queue"  # in the platform's list, or in a consumer's intake list
    READY = "ready"  # journalled: its message is not sent yet
    RELEASED = "released"  # its message is out
    RUNNING = "running"  # a worker has it
    WAITING = "waiting"  # until a due time
    SETTLING = "settling"  # a worker fails it, or closes it after its end
    ENDED = "ended"  # the row is final and there is no job
    MISSING = "missing"  # an open row without a job: recovery fails and settles it by age


_LOCATIONS: Final = {
    JobState.READY: JobLocation.READY,
    JobState.RELEASED: JobLocation.RELEASED,
    JobState.RUNNING: JobLocation.RUNNING,
    JobState.WAITING: JobLocation.WAITING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """One session."""

    session: Session
    facts: CreditFacts
    credit: Credit
    job: JobEntry | None
    location: JobLocation
    timeline: Sequence[Mapping[str, object]]  # oldest first; kept for seven days
    record: SessionRecord | None  # kept for 90 days
    is_stored: bool  # its picture is in the bucket
    error_class: str | None  # the class of its last failure; None if it never failed

    @property
    def cost_usd(self) -> float:
        """What was paid for it, including lost pictures, as far as known."""
        if self.record is not None and self.record.purchases:
            return self.record.cost_usd
        return self.session.estimated_cost_usd or 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A row with what its record tells."""

    session: Session
    cause: str | None  # code of the error of a failed one
    record: SessionRecord | None = None
    suspicions: tuple[str, ...] = ()  # only looked for when they are wanted: "result: not_applied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspector:
    """
    Reads sessions for operators.

    Raises `StoreUnavailable`, `StoreRefused` and `QueueUnavailable`.
    """

    sessions: Sessions
    credits: CreditReader
    storage: Storage
    intake: "Intake"
    jobs: JobReader
    inputs: InputReader

    async def find(self, text: str) -> Session:
        """
        Look a session up in both tables.

        Raises:
            InputError: This is not a session id.
            SessionNotFound: No such row in either table.
        """
        session_id = checked_session_id(text)
        row = await self.sessions.find(session_id)
        if row is None:
            tables = " and ".join(channel.table for channel in Channel)
            raise SessionNotFound(
                f"there is no session {session_id}",
                hint=f"looked in {tables}; check that the id is complete",
            )
        return row

    async def inspect(self, text: str) -> SessionReport:
        """As `find`, with everything known about it."""
        return await self.report(await self.find(text))

    async def report(self, row: Session, *, queued: Collection[str] | None = None) -> SessionReport:
        """
        Args:
            row: As just read.
            queued: Sessions before the journal, when the caller looks at many rows; read before
                them, since payloads move on meanwhile.
        """
        if queued is None and not row.status.is_final:
            queued = await self.intake.waiting_sessions()
        job = await self.jobs.entry(row.session_id)
        record = await self.jobs.record(row.session_id)
        timeline = await self.jobs.timeline(row.session_id)
        facts = await self.credits.facts(row, _marks(job, record))
        return SessionReport(
            session=row,
            facts=facts,
            credit=credit_of(facts),
            job=job,
            location=_location(row, job, queued or ()),
            timeline=timeline,
            record=record,
            is_stored=await self.is_stored(row.result_path),
            error_class=_error_class(row, record, timeline),
        )

    async def input_pictures(
        self, report: SessionReport, *, payload_urls: Sequence[str] = ()
    ) -> tuple[InputPicture, ...]:
        """Its input pictures, looked up now; see `InputReader.read`."""
        kept = report.record.input_paths if report.record else ()
        return await self.inputs.read(report.session, kept_paths=kept, payload_urls=payload_urls)

    async def is_stored(self, path: str) -> bool:
        """Whether this object is in the bucket."""
        try:
            await self.storage.sign(path, life_s=LOOK_LIFE_S)
        except ObjectNotFound:
            return False
        return True

    async def suspicions(self, rows: Sequence[Session]) -> list[tuple[str, ...]]:
        """What checks found in the pictures of each session that has ended."""
        timelines = await self.jobs.timelines([row.session_id for row in rows])
        return [
            tuple(
                f"{line['stage']}: {line['findings']}, {line['action']}"
                for line in lines
                if line["event"] == SUSPECT
            )
            for lines in timelines
        ]

    async def owner(self, text: str) -> str:
        """
        The id of a user or store, from that id or from the domain of the store.

        Raises:
            InputError: It is neither; the hint names stores of a similar domain.
        """
        try:
            return str(UUID(text))
        except ValueError:
            near = await self.sessions.stores_named(text, limit=NEAR_STORES)
        exact = [store_id for store_id, domain in near.items() if domain == text.lower()]
        if exact:
            return exact[0]
        names = ", ".join(near.values()) or "no store has a similar domain"
        raise InputError(
            f"there is no store or user {text!r}", hint=f"use an id or a shop domain: {names}"
        )

    async def error_classes(self, rows: Sequence[Session]) -> list[str | None]:
        """The class of error of each session's last failure; None of one that did not fail."""
        failed = [row for row in rows if row.status is Status.FAILED]
        records = await self.jobs.records([row.session_id for row in failed])
        untold = [
            row.session_id
            for row, record in zip(failed, records, strict=True)
            if record is None or record.error_code is None
        ]
        lines = dict(zip(untold, await self.jobs.timelines(untold), strict=True))
        classes = {
            row.session_id: _error_class(row, record, lines.get(row.session_id, ()))
            for row, record in zip(failed, records, strict=True)
        }
        return [classes.get(row.session_id) for row in rows]


def checked_session_id(text: str) -> str:
    """
    The id in the form of the tables.

    Raises:
        InputError: This is not a session id.
    """
    try:
        return str(UUID(text))
    except ValueError as exc:
        raise InputError(
            f"{text!r} is not a session id",
            hint="session ids look like 0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01",
        ) from exc


def replay_in(job: JobEntry | None) -> "ReplayRequest | None":
    """The replay of an open job; None for an ordinary job, or without one."""
    from wearon_cli.core.contract import parse_task  # imports pydantic

    if job is None or not job.payload:
        return None
    try:
        return parse_task(job.payload).replay
    except TaskInvalid:
        return None


def _marks(job: JobEntry | None, record: SessionRecord | None) -> CreditNotes:
    replay = replay_in(job)
    replaying = replay.replay_id if replay else None
    if record is None:
        return CreditNotes(replaying=replaying, was_replayed=replay is not None)
    return CreditNotes(
        failed_by_us=record.failed_by_us,
        was_replayed=record.replays > 0,
        replaying=replaying,
        parked=record.parked,
    )


def _location(row: Session, job: JobEntry | None, queued: Collection[str]) -> JobLocation:
    if job is not None:
        replay = replay_in(job)
        ended = row.status.is_final and not (replay and replay.from_status is row.status)
        return JobLocation.SETTLING if job.intent or ended else _LOCATIONS[job.state]
    if row.status.is_final:
        return JobLocation.ENDED
    return JobLocation.QUEUE if row.session_id in queued else JobLocation.MISSING


def _error_class(
    row: Session, record: SessionRecord | None, timeline: Sequence[Mapping[str, object]]
) -> str | None:
    """The record wins: it is about the last failure. A timeline also has errors that were
    retried.
    """
    if record is not None and record.error_code is not None:
        return record.error_code
    codes = [line.get("error_code") or line.get("error") for line in timeline]
    last = next((str(code) for code in reversed(codes) if code), None)
    return last or (UNKNOWN if row.status is Status.FAILED else None)
