"""Turns the fields of a job's hash in Redis into records."""

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from wearon_cli.adapters.redis.money import MICRO
from wearon_cli.core.errors import GeneratorError, WearonError
from wearon_cli.core.jobs.journal import (
    Claim,
    JobEntry,
    JobState,
    NewJob,
    Purchase,
    SettlementIntent,
)
from wearon_cli.core.providers import Ticket, Usage
from wearon_cli.core.purchases import B2C_OWNER
from wearon_cli.core.session import Channel

#: Scores of the set of open jobs, see lua/common.lua.
RELEASED: Final = -1e11
FREE_HEAD: Final = -2e10
PAID: Final = 0
WAITING: Final = 1e9
RUNNING: Final = 1e11

type Fields = Mapping[bytes, bytes]


def fields_of(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """A script's reply of names and values, as a dict; the last value of a name counts."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def claim_of(session_id: str, token: str, job: Fields) -> Claim:
    """The claim that this entry was read for."""
    return Claim(
        session_id=session_id,
        token=token,
        channel=Channel(job[b"channel"].decode()),
        payload=job[b"payload"],
        opened_at=moment(job[b"opened_at"]),
        started_at=moment(job[b"started_at"]),
        claimed_at=moment(job[b"claimed_at"]),
        attempt=_number(job, b"attempt"),
        deaths=_number(job, b"deaths"),
        purchases=_number(job, b"purchases"),
        faults=_number(job, b"faults"),
        waiting_since=_moment(job, b"waiting_since"),
        purchase=purchase_of(job),
        stored=bool(job.get(b"stored")),
        picture_held=bool(job.get(b"picture_held")),
        bought_again=bool(job.get(b"bought_again")),
        previous_kept=bool(job.get(b"previous_kept")),
        charged=bool(job.get(b"charged")),
        usage=usage_of(job[b"usage"]) if job.get(b"usage") else None,
        to_forget=_to_forget(job),
        intent=_intent(job),
        expired=_text(job, b"expired"),
    )


def entry_of(session_id: str, score: float, job: Fields) -> JobEntry:
    """The open job, from its score and its fields."""
    state = state_of(score)
    return JobEntry(
        session_id=session_id,
        channel=Channel(job[b"channel"].decode()),
        state=state,
        opened_at=moment(job[b"opened_at"]),
        attempt=_number(job, b"attempt"),
        purchases=_number(job, b"purchases"),
        deaths=_number(job, b"deaths"),
        payload=job[b"payload"],
        worker_id=_text(job, b"worker"),
        due_at=datetime.fromtimestamp(score, UTC) if state is JobState.WAITING else None,
        waiting_since=_moment(job, b"waiting_since"),
        purchase=purchase_of(job),
        intent=_intent(job),
    )


def state_of(score: float) -> JobState:
    """The state of a job with this score."""
    if score >= RUNNING:
        return JobState.RUNNING
    if score >= WAITING:
        return JobState.WAITING
    return JobState.READY if score >= FREE_HEAD else JobState.RELEASED


def usage_of(text: bytes) -> Usage:
    """A usage, as written by `json.dumps`."""
    return Usage(**json.loads(text))


def moment(seconds: bytes) -> datetime:
    """A time by Redis's clock."""
    return datetime.fromtimestamp(float(seconds), UTC)


def micro_usd(cost_usd: float | None) -> int | str:
    """Micro-USD for a script; '' when it is not known."""
    return "" if cost_usd is None else round(cost_usd * MICRO)


def timeline_facts(event: str, **facts: object) -> str:
    """Members of a timeline entry, without those that are None."""
    given = {name: value for name, value in facts.items() if value is not None}
    return json.dumps({"event": event, **given})


def cause_facts(cause: WearonError | None) -> dict[str, object]:
    """Why a purchase ended without a picture: our class of error, and the provider's answer."""
    if cause is None:
        return {}
    vendor = cause.vendor.facts() if isinstance(cause, GeneratorError) and cause.vendor else {}
    return {"error": cause.code, **vendor}


def open_arguments(job: NewJob, *, releases: bool) -> list[object]:
    """What `open.lua` needs to know about a job."""
    fields: dict[str, object] = {
        "channel": job.key.channel.value,
        "payload": job.payload,
        "book_owner": job.owner_id if job.key.channel is Channel.B2B else B2C_OWNER,
        "pictures": job.pictures,
        "request_id": job.request_id,
        "event": job.event,
    }
    if job.earlier_attempts:
        fields["earlier"] = job.earlier_attempts
    if job.input_paths:
        fields["input_paths"] = json.dumps(job.input_paths)
    return [
        job.key.session_id,
        secrets.token_hex(8),
        timeline_facts(job.event, **(job.facts or {})),
        job.lane.value,
        job.owner_id,
        int(releases),
        2 * len(fields),
        *(part for pair in fields.items() for part in pair),
    ]


def purchase_json(purchase: Purchase) -> str:
    """The open purchase, without its start: a script adds that."""
    facts: dict[str, Any] = {
        "number": purchase.number,
        "provider": purchase.provider,
        "model": purchase.model,
        "expected_micro_usd": micro_usd(purchase.expected_usd),
    }
    if purchase.marker is not None:
        facts["marker"] = purchase.marker
    if purchase.is_free:
        facts["free"] = True
    return json.dumps(facts)


def purchase_of(job: Fields) -> Purchase | None:
    """The open purchase, with its ticket."""
    if not job.get(b"purchase"):
        return None
    facts = json.loads(job[b"purchase"])
    return Purchase(
        number=facts["number"],
        provider=facts["provider"],
        model=facts["model"],
        started_at=datetime.fromtimestamp(facts["started_at"], UTC),
        expected_usd=facts["expected_micro_usd"] / MICRO,
        marker=facts.get("marker"),
        ticket=_text(job, b"ticket"),
        is_free=facts.get("free", False),
    )


def _to_forget(job: Fields) -> Ticket | None:
    return ticket_of(job[b"to_forget"]) if job.get(b"to_forget") else None


def ticket_of(text: str | bytes) -> Ticket:
    """The ticket of a purchase that has ended, as a script wrote it."""
    facts = json.loads(text)
    return Ticket(
        provider=facts["provider"],
        model=facts["model"],
        provider_id=facts["ticket"],
        marker=facts.get("marker"),
    )


def _intent(job: Fields) -> SettlementIntent | None:
    return SettlementIntent(**json.loads(job[b"intent"])) if job.get(b"intent") else None


def _number(job: Fields, name: bytes) -> int:
    return int(job.get(name) or 0)


def _text(job: Fields, name: bytes) -> str | None:
    return job[name].decode() if job.get(name) else None


def _moment(job: Fields, name: bytes) -> datetime | None:
    return moment(job[name]) if job.get(name) else None
