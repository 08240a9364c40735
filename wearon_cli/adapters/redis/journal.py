"""
The journal of open jobs in Redis. The keys, their fields and lifetimes are in docs/redis-keys.md.

Every change of an entry is one script, atomic with its line in the timeline and its figures in the
book of purchases, and may be sent twice. Redis's clock is the only one used. Every write by a
worker is fenced by its claim's token.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, redis_errors
from wearon_cli.adapters.redis.entries import (
    cause_facts,
    claim_of,
    fields_of,
    micro_usd,
    open_arguments,
    purchase_json,
    purchase_of,
    timeline_facts,
)
from wearon_cli.adapters.redis.job_reader import RedisJobReader
from wearon_cli.adapters.redis.job_scripts import JobScripts
from wearon_cli.core.errors import LeaseLost, WearonError
from wearon_cli.core.jobs.journal import (
    Claim,
    Closing,
    HandBack,
    Lane,
    NewJob,
    Purchase,
    PurchaseOutcome,
    SettlementIntent,
)
from wearon_cli.core.providers import HeldPicture, Usage

#: A minute, plus a second for the varying time between a permit and the request's arrival at the
#: API. It costs 1.6 % of the limit; with half of it, 302 requests were measured in a minute at a
#: limit of 300.
WINDOW_S: Final = 61.0
#: Bought pictures held at once while storage is away: at 1.5 MB each, 100 MB of Redis's memory.
MOST_HELD_PICTURES: Final = 64


class RedisJournal(RedisJobReader):
    """Implements `Journal` and, as a `RedisJobReader`, `JobReader`."""

    def __init__(
        self, redis: Client, *, requests_per_minute: int, pictures_per_minute: int | None
    ) -> None:
        super().__init__(redis)
        self._scripts = JobScripts(redis)
        self._requests_per_minute = requests_per_minute
        self._pictures_per_minute = pictures_per_minute or 0

    async def open(self, job: NewJob) -> bool:
        (opened,) = await self._scripts.run("open", *open_arguments(job, releases=False))
        return bool(opened)

    async def claim(self, session_id: str, *, worker_id: str, token: str) -> Claim | None:
        facts = timeline_facts("claimed", worker=worker_id)
        flat = await self._scripts.run("claim", session_id, worker_id, token, facts)
        return claim_of(session_id, token, fields_of(flat)) if flat else None

    async def start_purchase(self, claim: Claim, purchase: Purchase, *, pictures: int) -> float:
        facts = timeline_facts(
            "preview_started" if purchase.is_free else "purchase_started",
            purchase=None if purchase.is_free else purchase.number,
            provider=purchase.provider,
            model=purchase.model,
            marker=purchase.marker,
        )
        answer = await self._scripts.run(
            "start_purchase",
            claim.session_id,
            claim.token,
            facts,
            purchase.number,
            purchase_json(purchase),
            WINDOW_S,
            self._requests_per_minute,
            # A request with more pictures than a minute allows gets a minute of its own.
            min(pictures, self._pictures_per_minute),
            self._pictures_per_minute,
        )
        _fence(answer != b"lost")
        return float(answer)

    async def purchase_submitted(self, claim: Claim, ticket: str) -> None:
        facts = timeline_facts("purchase_submitted", ticket=ticket)
        await self._write(claim, "ticket", ticket, facts, lane=Lane.FREE.value)

    async def end_purchase(
        self,
        claim: Claim,
        outcome: PurchaseOutcome,
        *,
        cost_usd: float | None = None,
        cause: WearonError | None = None,
    ) -> None:
        why = cause_facts(cause)
        facts = timeline_facts("purchase_ended", outcome=outcome.value, cost_usd=cost_usd, **why)
        await self._end_purchase(claim, outcome, facts, cost_usd=cost_usd, why=why)

    async def buy_again(self, claim: Claim, usage: Usage, *, findings: str) -> None:
        facts = timeline_facts(
            "picture_suspect", stage="result", findings=findings, action="bought_again"
        )
        await self._end_purchase(
            claim, PurchaseOutcome.KEPT, facts, cost_usd=usage.cost_usd, mark="bought_again"
        )

    async def picture_stored(
        self, claim: Claim, usage: Usage, outcome: PurchaseOutcome, **facts: str
    ) -> None:
        line = timeline_facts(
            "picture_stored",
            outcome=outcome.value,
            provider=usage.provider,
            model=usage.model,
            cost_usd=usage.cost_usd,
            estimate=usage.is_estimate or None,
            **facts,
        )
        await self._end_purchase(claim, outcome, line, cost_usd=usage.cost_usd, usage=usage)

    async def _end_purchase(
        self,
        claim: Claim,
        outcome: PurchaseOutcome,
        facts: str,
        *,
        cost_usd: float | None,
        usage: Usage | None = None,
        why: Mapping[str, object] | None = None,
        mark: str = "",
    ) -> None:
        _fence(
            await self._scripts.run(
                "end_purchase",
                claim.session_id,
                claim.token,
                facts,
                outcome.value,
                micro_usd(cost_usd),
                usage.model if usage else "",
                json.dumps(asdict(usage)) if usage else "",
                json.dumps(why) if why else "",
                mark,
            )
        )

    async def previous_kept(self, claim: Claim) -> None:
        await self._write(claim, "previous_kept", "1", timeline_facts("previous_kept"))

    async def charged(self, claim: Claim) -> None:
        await self._write(claim, "charged", "1", timeline_facts("charged"))

    async def open_purchase(self, claim: Claim) -> Purchase | None:
        names = ["token", "purchase", "ticket"]
        with redis_errors():
            values = await self._redis.hmget(keys.job(claim.session_id), names)
        job = {name.encode(): value for name, value in zip(names, values, strict=True)}
        _fence(job[b"token"] == claim.token.encode())
        return purchase_of(job)

    async def keep_picture(self, claim: Claim, picture: HeldPicture) -> bool:
        usage = picture.usage
        facts = {**asdict(usage), "number": picture.number}
        answer = await self._scripts.run(
            "hold_picture",
            claim.session_id,
            claim.token,
            timeline_facts("picture_held", provider=usage.provider, model=usage.model),
            json.dumps(facts).encode() + b"\n" + picture.jpeg,
            MOST_HELD_PICTURES,
            keys.HELD_PICTURE_LIFE_S,
        )
        _fence(answer != b"lost")
        return bool(answer == b"held")

    async def kept_picture(self, session_id: str) -> HeldPicture | None:
        with redis_errors():
            held = await self._redis.get(keys.held_picture(session_id))
        if held is None:
            return None
        text, _, jpeg = held.partition(b"\n")
        facts = json.loads(text)
        number = facts.pop("number")
        return HeldPicture(jpeg=jpeg, usage=Usage(**facts), number=number)

    async def hand_back(self, claim: Claim, *, after_s: float, why: HandBack, error: str) -> None:
        facts = timeline_facts(
            "handed_back", why=why.value, after_s=round(after_s, 1), error=error or None
        )
        _fence(
            await self._scripts.run(
                "hand_back", claim.session_id, claim.token, facts, max(0.0, after_s), why.value
            )
        )

    async def intend(self, claim: Claim, intent: SettlementIntent) -> None:
        event = "row_failed" if intent.swapped else "settling"
        facts = timeline_facts(event, error=intent.error_code, detail=intent.detail)
        more = {"lane": Lane.FREE.value, **({"failed_by_us": "1"} if intent.swapped else {})}
        await self._write(claim, "intent", json.dumps(asdict(intent)), facts, **more)

    async def close(self, claim: Claim, closing: Closing) -> None:
        facts = timeline_facts(
            "closed",
            ending=closing.ending.value,
            error=closing.error_code,
            credit=closing.credit,
            cost_usd=closing.cost_usd,
            **(closing.facts or {}),
        )
        _fence(
            await self._scripts.run(
                "close",
                claim.session_id,
                claim.token,
                facts,
                closing.ending.value,
                closing.error_code or "",
                micro_usd(closing.cost_usd),
            )
        )

    async def note(self, session_id: str, event: str, **facts: object) -> None:
        await self._scripts.run("note", session_id, timeline_facts(event, **facts))

    async def forget(self, session_id: str, **facts: object) -> bool:
        line = timeline_facts("forgotten", **facts)
        return bool(await self._scripts.run("forget", session_id, line))

    async def _write(self, claim: Claim, field: str, value: str, facts: str, **more: str) -> None:
        flat = (part for pair in more.items() for part in pair)
        _fence(
            await self._scripts.run(
                "write", claim.session_id, claim.token, facts, field, value, *flat
            )
        )


def _fence(held: object) -> None:
    if not held:
        raise LeaseLost
