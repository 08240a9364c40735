"""The ports of the operator tools in memory, with the platform's rules and faults on demand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from wearon_cli.core.contract import Task, parse_task
from wearon_cli.core.credits import EntryKind, LedgerEntry, UserStanding
from wearon_cli.core.errors import ObjectNotFound, StoreRefused, WearonError
from wearon_cli.core.session import NewSession, Session, SessionKey, SessionMove, Status, utc_now


@dataclass
class FakeSessions:
    rows: dict[SessionKey, Session] = field(default_factory=dict)
    insert_fails: WearonError | None = None

    async def get(self, key: SessionKey) -> Session | None:
        return self.rows.get(key)

    async def find(self, session_id: str) -> Session | None:
        return next((row for row in self.rows.values() if row.session_id == session_id), None)

    async def apply(self, key: SessionKey, move: SessionMove) -> Session | None:
        row = self.rows.get(key)
        if row is None or row.status not in move.expected:
            return None
        writes: dict[str, Any] = dict(move.writes)
        for name in ("completed_at",):
            if isinstance(writes.get(name), str):
                writes[name] = datetime.fromisoformat(writes[name])
        self.rows[key] = replace(row, status=move.to, **writes)
        return self.rows[key]

    async def insert(self, new: NewSession) -> Session:
        if self.insert_fails:
            raise self.insert_fails
        row = Session(
            session_id=new.session_id,
            channel=new.channel,
            owner_id=new.owner_id,
            status=Status.QUEUED,
            created_at=utc_now(),
            model_image_url=new.model_image_url,
            outfit_image_url=new.outfit_image_url,
            accessories=new.accessories,
            prompt_system=new.prompt_system,
            request_id=new.request_id,
            shopper_email=new.shopper_email,
        )
        self.rows[row.key] = row
        return row

    async def open_before(self, time: datetime, *, limit: int) -> Sequence[Session]:
        return [row for row in self.rows.values() if row.created_at < time][:limit]

    async def since(self, time: datetime, *, limit: int) -> Sequence[Session]:
        found = [row for row in self.rows.values() if row.created_at >= time]
        return sorted(found, key=lambda row: row.created_at, reverse=True)[:limit]

    async def with_request_id(self, store_id: str, request_id: str) -> Sequence[Session]:
        return [row for row in self.rows.values() if row.request_id == request_id]


@dataclass
class FakeLedger:
    """Credits by owner (a shopper's by e-mail), and every entry made."""

    balances: dict[str, int] = field(default_factory=dict)
    entries: list[tuple[str, LedgerEntry]] = field(default_factory=list)

    def _add(self, payer: str, owner_id: str, kind: EntryKind, amount: int, **facts: Any) -> None:
        self.balances[payer] += amount
        entry = LedgerEntry(kind=kind, amount=amount, created_at=utc_now(), **facts)
        self.entries.append((owner_id, entry))

    async def take(
        self, new: NewSession, *, shopper_pays: bool = False, description: str = "Try-on"
    ) -> None:
        payer = str(new.shopper_email) if shopper_pays else new.owner_id
        if self.balances.get(payer, 0) < 1:
            raise StoreRefused("there is no credit left")
        kind = EntryKind.DEDUCTION if new.request_id else EntryKind.GENERATION
        facts = {"description": description, "request_id": new.request_id}
        self._add(payer, new.owner_id, kind, -1, **facts)

    async def store_entries(self, store_id: str, request_id: str) -> Sequence[LedgerEntry]:
        return [e for owner, e in self.entries if (owner, e.request_id) == (store_id, request_id)]

    async def user_standing(self, user_id: str, session_id: str) -> UserStanding:
        mine = [entry for owner, entry in self.entries if owner == user_id]
        refunds = [entry for entry in mine if entry.kind is EntryKind.REFUND]
        return UserStanding(
            taken=sum(entry.kind is EntryKind.GENERATION for entry in mine),
            refunded=len(refunds),
            session_refunds=sum(session_id in entry.description for entry in refunds),
        )

    async def refund_store(self, store_id: str, request_id: str, description: str) -> bool:
        return await self._refund(store_id, store_id, request_id, description)

    async def refund_shopper(
        self, store_id: str, email: str, request_id: str, description: str
    ) -> bool:
        return await self._refund(email, store_id, request_id, description)

    async def refund_user(self, user_id: str, description: str) -> None:
        self._add(user_id, user_id, EntryKind.REFUND, 1, description=description)

    async def _refund(self, payer: str, store_id: str, request_id: str, description: str) -> bool:
        if any(e.kind is EntryKind.REFUND for e in await self.store_entries(store_id, request_id)):
            return False
        facts = {"description": description, "request_id": request_id}
        self._add(payer, store_id, EntryKind.REFUND, 1, **facts)
        return True


@dataclass
class FakeStorage:
    """Signed addresses look as the platform's do."""

    origin: str = "https://project.supabase.test"
    objects: dict[str, bytes] = field(default_factory=dict)
    signed: int = 0

    async def put(self, path: str, data: bytes, *, content_type: str) -> None:
        self.objects[path] = data

    async def get(self, path: str) -> bytes:
        return self.objects[path]

    async def sign(self, path: str, *, life_s: int) -> str:
        if path not in self.objects:
            raise ObjectNotFound
        self.signed += 1
        bucket = f"{self.origin}/storage/v1/object/sign/virtual-tryon-images"
        return f"{bucket}/{path}?token=t{self.signed}"


@dataclass
class FakeIntake:
    """What was pushed; nothing arrives while it fails."""

    pushed: list[Task] = field(default_factory=list)
    fails: WearonError | None = None

    async def push(self, payload: bytes) -> None:
        if self.fails:
            raise self.fails
        self.pushed.append(parse_task(payload))

    async def take(self, *, wait_s: float) -> bytes | None:
        return None

    async def done(self, payload: bytes) -> None: ...

    async def beat(self) -> None: ...

    async def return_dead(self) -> int:
        return 0

    async def waiting_sessions(self) -> frozenset[str]:
        return frozenset(str(task.session_id) for task in self.pushed)


@dataclass
class FakeJournal:
    """Only what the operator tools ask of a journal."""

    open_sessions: set[str] = field(default_factory=set)
    timelines: dict[str, list[Mapping[str, object]]] = field(default_factory=dict)

    async def is_open(self, session_id: str) -> bool:
        return session_id in self.open_sessions

    async def note(self, session_id: str, event: str, **facts: object) -> None:
        self.timelines.setdefault(session_id, []).append({"event": event, **facts})

    async def timeline(self, session_id: str) -> Sequence[Mapping[str, object]]:
        return self.timelines.get(session_id, [])
