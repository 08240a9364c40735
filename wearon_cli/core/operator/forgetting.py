"""
Forgets a session: deletes its pictures, its data in Redis, and the copies at its providers.

    receipt -> copies at providers -> pictures -> dead letters -> what Redis keeps, in one step

What is needed to find the rest is deleted last, so a run that was stopped anywhere is finished by
the next. The receipt is in the timeline before anything is deleted, as `forgetting`; the last step
replaces it by `forgotten`, which also counts what a stopped run had deleted.

The row and its ledger entries belong to the platform and stay, and so does everything that
`credit_of` reads from the record. An owed credit must be settled before: forgetting never decides
about money.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wearon_cli.core.credits import CreditState
from wearon_cli.core.errors import SessionError, SessionRunning, TaskInvalid
from wearon_cli.core.jobs.dead_letters import DeadLetter, DeadLetters
from wearon_cli.core.jobs.journal import Journal
from wearon_cli.core.locks import RefundLock, pictures_lock
from wearon_cli.core.operator.inputs import row_urls
from wearon_cli.core.operator.inspector import BATCH, Inspector, JobLocation, SessionReport
from wearon_cli.core.payloads import salvage
from wearon_cli.core.providers import Provider, Ticket
from wearon_cli.core.session import Session
from wearon_cli.core.storage import Storage, previous_path, stored_path, swap_path

#: Most dead letters that are searched; more do not accumulate in 30 days.
MOST_LETTERS: Final = 100_000
#: Results are in folders of this name. A payload may name a result as an input: it is kept.
_RESULTS: Final = "generated"
#: The event of a receipt before its deletions.
_BEGUN: Final = "forgetting"
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is read once for several sessions."""

    queued: Collection[str]  # sessions whose payload is before the journal
    letters: Sequence[DeadLetter]
    #: Input pictures that are used by sessions which are not being forgotten.
    shared_paths: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetPlan:
    """What will be deleted of one session."""

    session: Session
    inputs: tuple[str, ...]  # paths in our bucket
    results: tuple[str, ...]  # the same, of its picture and of earlier ones
    kept: tuple[str, ...]  # inputs that are used by other sessions, or another owner's
    letters: tuple[str, ...]  # ids of dead letters
    tickets: tuple[Ticket, ...]
    begun: "_Begun | None" = None  # by a run that was stopped

    def without(self, used: frozenset[str]) -> "ForgetPlan":
        """The plan, if these input pictures are kept."""
        inputs = tuple(path for path in self.inputs if path not in used)
        kept = (*self.kept, *(path for path in self.inputs if path in used))
        return replace(self, inputs=inputs, kept=kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was deleted. Contains nothing about a person but the session's id."""

    session_id: str
    pictures: int
    dead_letters: int
    provider_copies: int
    #: Providers that keep copies and could not be asked, since they have no key here.
    not_asked: tuple[str, ...]

    def facts(self) -> dict[str, object]:
        """For the timeline, which has the session's id."""
        return {
            "pictures": self.pictures,
            "dead_letters": self.dead_letters,
            "provider_copies": self.provider_copies,
            "not_asked": " ".join(self.not_asked) or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """What a run found before its first deletion."""

    pictures: int  # in the bucket, to be deleted
    kept: int  # in the bucket, and used by others
    dead_letters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetter:
    """Plans and forgets. Raises `StoreUnavailable`, `StoreRefused` and `QueueUnavailable`."""

    inspector: Inspector
    storage: Storage
    journal: Journal
    dead_letters: DeadLetters
    lock: RefundLock

    async def look_around(self, *, shared_paths: frozenset[str] = frozenset()) -> Surroundings:
        """Read what `plan` needs besides the session."""
        return Surroundings(
            queued=await self.inspector.intake.waiting_sessions(),
            letters=await self.dead_letters.list(limit=MOST_LETTERS),
            shared_paths=shared_paths,
        )

    async def plan(self, row: Session, around: Surroundings) -> ForgetPlan:
        """
        Find the data of a session. Changes nothing.

        Raises:
            SessionRunning: It has not ended, or it still has a job.
            SessionError: A credit of it is owed.
        """
        report = await self.inspector.report(row, queued=around.queued)
        _require_ended(report, around)
        letters = [each for each in around.letters if _session_of(each) == row.session_id]
        inputs = self._input_paths(report, letters)
        kept = {path for path in inputs if _is_of_another(path, row.owner_id)}
        plan = ForgetPlan(
            session=row,
            inputs=tuple(sorted(inputs - kept)),
            results=_result_paths(row),
            kept=tuple(sorted(kept)),
            letters=tuple(each.letter_id for each in letters),
            tickets=_tickets(report),
            begun=_begun(report),
        )
        return plan.without(around.shared_paths)

    async def run(
        self,
        row: Session,
        around: Surroundings,
        providers: Mapping[str, Provider],
        *,
        by: str = "",
    ) -> Receipt:
        """
        Forget a session. Stopped anywhere, calling it again finishes it.

        Args:
            row: The session; it is read again.
            around: What was read for its plan.
            providers: Those that can be asked, by name.
            by: The operator, for the event that remains.

        Raises:
            SessionNotFound, SessionRunning, SessionError: As `plan`; nothing was deleted.
            GeneratorError: A provider did not delete its copy; the later steps were not done.
        """
        plan = await self.plan(await self.inspector.find(row.session_id), around)
        asked = [ticket for ticket in plan.tickets if ticket.provider in providers]
        receipt, kept = await self._receipt(plan, asked)
        facts = {**receipt.facts(), "kept": kept, "by": by or None}
        await self.journal.note(row.session_id, _BEGUN, **facts)
        for ticket in asked:
            await providers[ticket.provider].forget(ticket)
        async with self.lock.hold(pictures_lock(row.session_id)) as free:
            if not free:
                raise SessionRunning(
                    f"session {row.session_id}: an undo, a redraw or another `forget` is at work",
                    hint="try again in a minute",
                )
            # Again: providers may have taken long to answer, another run may have finished
            # meanwhile, and no replay begins from here on.
            plan = await self.plan(await self.inspector.find(row.session_id), around)
            receipt, _ = await self._receipt(plan, asked)
            await self._delete(plan, receipt, by)
        return receipt

    async def _receipt(self, plan: ForgetPlan, asked: Sequence[Ticket]) -> tuple[Receipt, int]:
        """
        What will have been deleted after this plan, and how many stored pictures are kept.

        What a stopped run had found, and is not stored any more, was deleted by it.
        """
        pictures = await self._stored((*plan.inputs, *plan.results))
        kept, begun = await self._stored(plan.kept), plan.begun
        deleted = max(0, begun.pictures + begun.kept - pictures - kept) if begun else 0
        receipt = Receipt(
            session_id=plan.session.session_id,
            pictures=pictures + deleted,
            dead_letters=max(len(plan.letters), begun.dead_letters if begun else 0),
            provider_copies=sum(ticket in asked for ticket in plan.tickets),
            not_asked=tuple(sorted({t.provider for t in plan.tickets if t not in asked})),
        )
        return receipt, kept

    async def _delete(self, plan: ForgetPlan, receipt: Receipt, by: str) -> None:
        for path in (*plan.inputs, *plan.results):
            await self.storage.remove(path)
        for letter_id in plan.letters:
            await self.dead_letters.drop(letter_id)
        forgotten = await self.journal.forget(
            plan.session.session_id, **receipt.facts(), by=by or None
        )
        if not forgotten:
            raise SessionRunning(
                f"session {plan.session.session_id} was started again meanwhile",
                hint="its pictures are gone; forget it again after its job has ended",
            )

    async def _stored(self, paths: Sequence[str]) -> int:
        return sum([await self.inspector.is_stored(path) for path in paths])

    def _input_paths(self, report: SessionReport, letters: Sequence[DeadLetter]) -> frozenset[str]:
        kept = report.record.input_paths if report.record else ()
        named = self._ours(row_urls(report.session))
        of_letters = self._ours(url for each in letters for url in _urls_in(each.raw))
        return frozenset(path for path in {*kept, *named, *of_letters} if not _is_result(path))

    async def paths_used_by(self, rows: Sequence[Session]) -> frozenset[str]:
        """
        Paths of these sessions' input pictures in our bucket: from their rows, their records, and
        the payloads of open jobs. A row alone may not be enough: the platform overwrites old
        addresses, and a b2b row has no accessories.
        """
        jobs = self.inspector.jobs
        used = set(self._ours(url for row in rows for url in row_urls(row)))
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            for record in await jobs.records([row.session_id for row in batch]):
                used.update(record.input_paths if record else ())
        for row in rows:
            entry = None if row.status.is_final else await jobs.entry(row.session_id)
            used.update(self._ours(_urls_in(entry.payload) if entry else ()))
        return frozenset(used)

    def _ours(self, urls: Iterable[str]) -> frozenset[str]:
        reader = self.inspector.inputs
        found = (stored_path(url, bucket=reader.bucket, origin=reader.origin) for url in urls)
        return frozenset(path for path in found if path)


def _require_ended(report: SessionReport, around: Surroundings) -> None:
    row, credit = report.session, report.credit
    if report.location is not JobLocation.ENDED or row.session_id in around.queued:
        place = "queue" if row.session_id in around.queued else report.location.value
        raise SessionRunning(
            f"session {row.session_id} ({row.status.value}) has not ended: job {place}",
            hint="it can be forgotten after it ends",
        )
    if credit.state in {CreditState.OWED, CreditState.HELD}:
        raise SessionError(
            f"session {row.session_id}: a credit is {credit.state.value} ({credit.reason})",
            hint="`wearon reconcile --fix` returns it; then the session can be forgotten",
        )


def _result_paths(row: Session) -> tuple[str, ...]:
    path = row.result_path
    return path, previous_path(path), swap_path(path)


def _begun(report: SessionReport) -> _Begun | None:
    """What the last run, if it was stopped, was about to delete."""
    lines = [line for line in report.timeline if line["event"] == _BEGUN]
    if not lines:
        return None
    return _Begun(
        pictures=int(str(lines[-1]["pictures"])),
        kept=int(str(lines[-1]["kept"])),
        dead_letters=int(str(lines[-1]["dead_letters"])),
    )


def _is_of_another(path: str, owner_id: str) -> bool:
    """Whether it lies in a folder that is named for another user or merchant store."""
    folders = path.lower().split("/")[:-1]
    return any(_UUID.fullmatch(part) and part != owner_id.lower() for part in folders)


def _is_result(path: str) -> bool:
    return _RESULTS in path.split("/")[:-1]


def _session_of(letter: DeadLetter) -> str | None:
    if letter.session_id is not None:
        return letter.session_id
    key = salvage(letter.raw)
    return key.session_id if key else None


def _urls_in(payload: bytes) -> tuple[str, ...]:
    from wearon_cli.core.contract import parse_task  # imports pydantic

    try:
        return parse_task(payload).image_urls
    except TaskInvalid:
        return ()


def _tickets(report: SessionReport) -> tuple[Ticket, ...]:
    """Tickets of every known purchase: from the record, and from the timeline's last seven days."""
    found = dict.fromkeys(report.record.tickets if report.record else ())
    started: Mapping[str, object] = {}
    for line in report.timeline:
        if line["event"] == "purchase_started":
            started = line
            marker = line.get("marker")
            if marker:  # its answer may have been lost: the marker finds the purchase
                found[_ticket(started, str(marker))] = None
        elif line["event"] == "purchase_submitted" and started:
            if started.get("marker"):
                found.pop(_ticket(started, str(started["marker"])), None)
            found[_ticket(started, str(line["ticket"]))] = None
    return tuple(found)


def _ticket(started: Mapping[str, object], provider_id: str) -> Ticket:
    marker = started.get("marker")
    return Ticket(
        provider=str(started["provider"]),
        model=str(started["model"]),
        provider_id=provider_id,
        marker=str(marker) if marker else None,
    )
