"""
Runs a session again that ended or got stuck.

A replay makes one write: it opens a job. The row keeps its status until the worker has stored the
new picture, so a replay that fails, or is killed at any time, leaves the session as it was.
Everything that can be checked is checked before that one write.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from wearon_cli.core.errors import (
    InputError,
    PictureUnavailable,
    SessionFinal,
    SessionRunning,
)
from wearon_cli.core.jobs.journal import JobReader, Journal, Lane, NewJob
from wearon_cli.core.locks import RefundLock, pictures_lock
from wearon_cli.core.operator.inputs import InputPicture, InputState
from wearon_cli.core.operator.inspector import Inspector, JobLocation, SessionReport
from wearon_cli.core.operator.replay_plan import (
    FREE_OF_COST,
    PAYING,
    Plan,
    ReplayAction,
    ReplayOptions,
    ReplayPrice,
    age_words,
)
from wearon_cli.core.session import Channel, Session, Sessions, Status, utc_now

if TYPE_CHECKING:
    from wearon_cli.core.contract import Task

#: Placeholder for a missing input that is not needed; no host answers there (RFC 2606).
NOWHERE: Final = "https://gone.invalid/picture.jpg"

_RUNNING_WORDS: Final = {
    JobLocation.QUEUE: ("its job is in the platform's list", "a consumer will take it"),
    JobLocation.READY: ("its job is ready, waiting for a worker", "wait for it to end"),
    JobLocation.RELEASED: ("its job was released to a worker", "wait for it to end"),
    JobLocation.RUNNING: ("a worker is running it", "wait for it to end"),
    JobLocation.WAITING: (
        "its job is waiting for a rate limit or an outage to end",
        "it continues by itself",
    ),
    JobLocation.SETTLING: ("a worker is settling it", "try again in a moment"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayer:
    """Plans replays and opens their jobs."""

    inspector: Inspector
    sessions: Sessions
    journal: Journal
    jobs: JobReader
    lock: RefundLock
    #: Price of a try-on by model (None: the configured ones) and number of input pictures.
    price: Callable[[str | None, int], ReplayPrice]
    b2c_buy_within_s: float  # age at which the platform will end an open b2c session itself

    async def plan(self, session_id: str, options: ReplayOptions) -> Plan:
        """
        Read everything and decide, changing nothing.

        Raises:
            InputError: This is not a session id, or the options do not fit the session.
            SessionNotFound: No such row in either table.
            SessionRunning: It has an open job.
            SessionFinal: It is completed, and `force` is not set.
            PictureUnavailable: A needed input picture no longer exists.
        """
        report = await self.inspector.inspect(session_id)
        self._require_free(report, options)
        _require_fitting_charge(report, options)
        action = _action(report, options)
        inputs = await self.inspector.input_pictures(report, payload_urls=options.payload_urls)
        if action is not ReplayAction.FINISH:
            _require_inputs(inputs)
        price = (
            self.price(options.model, len(inputs)) if action is not ReplayAction.FINISH else None
        )
        return Plan(
            report=report,
            options=options,
            action=action,
            inputs=inputs,
            task=_task(report.session, inputs, options, fresh=action is ReplayAction.REDRAW),
            price=price or FREE_OF_COST,
        )

    async def run(self, plan: Plan) -> None:
        """
        Open the job. Calling it again for the same plan opens no second one.

        Raises:
            SessionRunning: The session has changed since it was planned; nothing was written.
            QueueUnavailable: The job may or may not be open: call it again, or check.
        """
        session_id = plan.session.session_id
        async with self.lock.hold(pictures_lock(session_id)) as free:
            opened = free and await self._opened(plan)
        if not free:
            raise SessionRunning(
                f"session {session_id}: an undo or another replay is in progress",
                hint="try again in a minute",
            )
        if not opened:
            raise SessionRunning(f"session {session_id} changed meanwhile; nothing was changed")

    async def _opened(self, plan: Plan) -> bool:
        """False: the session is no longer as it was planned for, or another job is open."""
        row = await self.sessions.get(plan.session.key)
        if row is None or row.status is not plan.session.status:
            return False
        job = _job(plan)
        if await self.journal.open(job):
            return True
        entry = await self.jobs.entry(row.session_id)
        return entry is not None and entry.payload == job.payload

    def _require_free(self, report: SessionReport, options: ReplayOptions) -> None:
        row, where = report.session, report.location
        if where in _RUNNING_WORDS and not (where is JobLocation.QUEUE and options.works_here):
            words, hint = _RUNNING_WORDS[where]
            raise SessionRunning(f"session {row.session_id}: {words}", hint=hint)
        if row.status is Status.COMPLETED and not options.force:
            raise _completed(report)
        age = utc_now() - row.created_at
        is_open_b2c = row.channel is Channel.B2C and not row.status.is_final
        if is_open_b2c and age.total_seconds() > self.b2c_buy_within_s:
            raise SessionRunning(
                f"session {row.session_id} is still {row.status.value}, {age_words(age)} old",
                hint="the platform fails it and returns its credit 10 minutes after it was "
                "created; replay it then",
            )


def _action(report: SessionReport, options: ReplayOptions) -> ReplayAction:
    if not report.is_stored:
        return ReplayAction.DRAW
    return ReplayAction.REDRAW if options.force else ReplayAction.FINISH


def _require_fitting_charge(report: SessionReport, options: ReplayOptions) -> None:
    if options.charge and report.credit.state in PAYING:
        raise InputError(
            f"the credit of session {report.session.session_id} was not returned",
            hint="it pays for this replay: remove --charge",
        )


def _completed(report: SessionReport) -> SessionFinal:
    what = f"session {report.session.session_id} is completed"
    if report.is_stored:
        hint = "--force draws another one and keeps this one until it is stored"
        return SessionFinal(f"{what} and has its picture", hint=hint)
    hint = "--force draws another one, if its input pictures are still stored"
    return SessionFinal(f"{what}, but its picture is no longer stored", hint=hint)


def _require_inputs(inputs: Sequence[InputPicture]) -> None:
    gone = [each.kind.value for each in inputs if each.state is InputState.GONE]
    if gone:
        raise PictureUnavailable(
            f"no longer stored: {', '.join(gone)}",
            hint="the shopper must upload it again; nothing was changed",
        )


def _task(
    row: Session, inputs: Sequence[InputPicture], options: ReplayOptions, *, fresh: bool
) -> "Task":
    from pydantic import ValidationError

    from wearon_cli.core.contract import ReplayRequest, new_task  # imports pydantic

    try:
        return new_task(
            key=row.key,
            owner_id=row.owner_id,
            image_urls=tuple(each.url or NOWHERE for each in inputs),
            prompt=row.prompt_system if options.prompt is None else options.prompt,
            request_id=row.request_id or f"req_{uuid4()}",
            replay=ReplayRequest(
                replay_id=secrets.token_hex(4),
                from_status=row.status,
                fresh=fresh,
                model=options.model,
                charge=options.charge,
                by=options.by,
                reason=options.reason,
                letter_id=options.letter_id,
            ),
        )
    except ValidationError as exc:
        fields = sorted({str(each["loc"][0]) for each in exc.errors() if each["loc"]})
        raise InputError(
            f"session {row.session_id} cannot become a job: {', '.join(fields)}",
            hint="a prompt has at most 32,000 characters; addresses must be http or https",
        ) from exc


def _job(plan: Plan) -> NewJob:
    row, options = plan.session, plan.options
    asked = {
        "replay": plan.replay_id,
        "action": plan.action.value,
        "from_status": row.status.value,
        "credit": plan.report.credit.state.value,
        "charge": options.charge or None,
        "model": options.model,
        "by": options.by,
        "reason": options.reason,
    }
    return NewJob(
        key=row.key,
        payload=plan.task.to_json(),
        owner_id=row.owner_id,
        pictures=len(plan.inputs),
        lane=Lane.PAID if plan.buys else Lane.FREE,
        input_paths=tuple(each.path for each in plan.inputs if each.path),
        event="replayed",
        facts={name: value for name, value in asked.items() if value},
        earlier_attempts=plan.report.record.attempts if plan.report.record else 0,
    )
