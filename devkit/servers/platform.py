"""The parts of the platform's web API that concern the worker: owners, credits, rows, payloads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from devkit.servers.supabase import SupabaseServer
from wearon_cli.core.contract import new_task
from wearon_cli.core.session import Channel, SessionKey

CREDITS = 1000
KINDS = ("b2c", "absorb", "resell", "overage")
SHOPPER = "shopper@example.test"
#: What the photo server serves.
PHOTOS = ("person.jpg", "garment_tee.jpg")
#: Ways in which a third of the jobs fails: a missing photo, a refusal by the safety system, an
#: invalid payload.
WAYS = ("gone", "refused", "malformed")
#: The path of a photo that makes its job fail.
PHOTO_OF = {"gone": "gone.jpg", "bomb": "bomb.png"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    session_id: str
    kind: str
    fails: str  # one of WAYS, or ""
    payload: bytes

    @property
    def table(self) -> str:
        return "generation_sessions" if self.kind == "b2c" else "store_generation_sessions"


class Platform:
    """What the platform's web API does before it pushes, in SQL."""

    def __init__(self, server: SupabaseServer, photos: str) -> None:
        self._run = server.run
        self._photos = photos
        self.taken_by_cron: set[str] = set()
        self.user, self.absorb, self.resell = (str(uuid4()) for _ in range(3))
        for store, mode in ((self.absorb, "absorb_mode"), (self.resell, "resell_mode")):
            self._run(
                f"INSERT INTO stores (id, shop_domain, billing_mode) VALUES "
                f"('{store}', '{store}.example', '{mode}');"
                f"INSERT INTO store_credits (store_id, balance) VALUES ('{store}', {CREDITS})"
            )
        self._run(
            f"INSERT INTO users VALUES ('{self.user}');"
            f"INSERT INTO user_credits (user_id, balance) VALUES ('{self.user}', {CREDITS});"
            "INSERT INTO store_shopper_credits (store_id, shopper_email, balance) "
            f"VALUES ('{self.resell}', '{SHOPPER}', {CREDITS})"
        )

    def orders(self, count: int) -> list[Job]:
        """Jobs that can be done, of the three kinds that take a credit in turn."""
        return [self.order(KINDS[n % 3], "") for n in range(count)]

    def order(self, kind: str, fails: str) -> Job:
        session_id, request_id = str(uuid4()), f"req_{uuid4()}"
        shopper = self._stranger() if fails == "stranger" else SHOPPER
        b2b = kind != "b2c"
        owner = {"b2c": self.user, "resell": self.resell}.get(kind, self.absorb)
        take = {
            "b2c": f"SELECT deduct_credits('{owner}', 1, 'Try-on')",
            "absorb": f"SELECT deduct_store_credits('{owner}', 1, '{request_id}', 'Try-on')",
            "resell": "SELECT deduct_store_shopper_credits("
            f"'{owner}', '{shopper}', 1, '{request_id}', 'Try-on')",
            "overage": "INSERT INTO store_credit_transactions (store_id, amount, type, request_id)"
            f" VALUES ('{owner}', 0, 'overage', '{request_id}')",
        }[kind]
        person = PHOTO_OF.get(fails, "gone.jpg" if fails == "stranger" else PHOTOS[0])
        urls = tuple(f"{self._photos}/{name}" for name in (person, PHOTOS[1]))
        insert = (
            "INSERT INTO store_generation_sessions (id, store_id, request_id, shopper_email, "
            f"model_image_url, prompt_system) VALUES ('{session_id}', '{owner}', '{request_id}', "
            f"'{SHOPPER}', '{urls[0]}', 'x')"
            if b2b
            else "INSERT INTO generation_sessions (id, user_id, model_image_url, prompt_system) "
            f"VALUES ('{session_id}', '{owner}', '{urls[0]}', 'x')"
        )
        self._run(f"{take}; {insert}")
        if fails == "stranger":  # the owner of the refund no longer exists
            self._run(f"DELETE FROM store_shopper_credits WHERE shopper_email = '{shopper}'")
        channel = Channel.B2B if b2b else Channel.B2C
        task = new_task(
            key=SessionKey(channel=channel, session_id=session_id),
            owner_id=owner,
            image_urls=urls,
            prompt="Dress the person.",
            request_id=request_id,
        )
        payload = task.to_json()
        if fails == "malformed":
            payload = json.dumps({**json.loads(payload), "image_urls": []}).encode()
        return Job(session_id=session_id, kind=kind, fails=fails, payload=payload)

    def _stranger(self) -> str:
        email = f"stranger-{uuid4()}@example.test"
        self._run(
            "INSERT INTO store_shopper_credits (store_id, shopper_email, balance) "
            f"VALUES ('{self.resell}', '{email}', 1)"
        )
        return email

    def cron_takes_one(self) -> str | None:
        """
        What the platform's cron does to an open b2c row of ten minutes: it refunds first, then
        fails the row, in two calls, whatever the row's status is meanwhile.
        """
        old = "created_at = now() - interval '11 minutes'"
        session_id = self._run(
            f"UPDATE generation_sessions SET {old} WHERE id = (SELECT id FROM generation_sessions "
            "WHERE status IN ('queued', 'processing') LIMIT 1) RETURNING id"
        ).splitlines()
        if not session_id:
            return None
        taken = session_id[0]
        self.taken_by_cron.add(taken)
        why = f"Stuck job recovery: session {taken} timed out after 10 minutes"
        self._run(f"SELECT refund_credits('{self.user}', 1, '{why}')")
        self._run(
            "UPDATE generation_sessions SET status = 'failed', completed_at = now(), "
            f"error_message = 'Timed out' WHERE id = '{taken}'"
        )
        return taken

    def balances(self) -> dict[str, int]:
        sql = {
            "user": f"SELECT balance FROM user_credits WHERE user_id = '{self.user}'",
            "store": f"SELECT balance FROM store_credits WHERE store_id = '{self.absorb}'",
            "shopper's store": f"SELECT balance FROM store_credits WHERE store_id = "
            f"'{self.resell}'",
            "shopper": "SELECT balance FROM store_shopper_credits WHERE "
            f"store_id = '{self.resell}' AND shopper_email = '{SHOPPER}'",
        }
        return {name: int(self._run(query)) for name, query in sql.items()}

    def statuses(self, jobs: Sequence[Job]) -> dict[str, str]:
        rows = self._run(
            "SELECT id, status FROM generation_sessions UNION ALL "
            "SELECT id, status FROM store_generation_sessions"
        )
        found = dict(line.split("|") for line in rows.splitlines())
        return {job.session_id: found[job.session_id] for job in jobs}
