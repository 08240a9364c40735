"""Every session store of the product behind one interface, so that the same tests run over each."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest
from pydantic import SecretStr

from devkit.servers.supabase import BUCKET, SERVICE_KEY, SupabaseServer
from wearon_cli.adapters.local.ledger import LocalLedger
from wearon_cli.adapters.local.sessions import LocalSessions
from wearon_cli.adapters.local.storage import LocalStorage
from wearon_cli.core.ledger import Ledger
from wearon_cli.core.session import Channel, Completion, NewSession, Sessions
from wearon_cli.core.settings import Settings
from wearon_cli.core.storage import Storage

SHOPPER = "shopper@example.test"
#: A finished try-on, with every field set.
DONE = Completion(
    generated_image_url="https://example.test/result.jpg?token=c",
    processing_time_ms=41_234,
    completed_at=datetime(2026, 3, 4, 5, 6, 7, 891_234, tzinfo=UTC),
    input_tokens=2_345,
    output_tokens=1_584,
    estimated_cost_usd=0.068308,
)


class Accounts(Protocol):
    """What the platform creates and the worker does not: owners with credits."""

    async def add_user(self, user_id: str, *, credits: int) -> None: ...
    async def add_store(
        self, store_id: str, *, credits: int, billing_mode: str = "absorb_mode"
    ) -> None: ...
    async def add_shopper(self, store_id: str, email: str, *, credits: int) -> None: ...
    async def add_overage(self, store_id: str, request_id: str) -> None: ...
    async def user_balance(self, user_id: str) -> int: ...
    async def store_balance(self, store_id: str) -> int: ...
    async def shopper_balance(self, store_id: str, email: str) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUnderTest:
    """One store under test, with a user, a store and a shopper of its own who have 5 credits."""

    name: str
    sessions: Sessions
    ledger: Ledger
    storage: Storage
    accounts: Accounts
    user_id: str
    store_id: str

    def new(self, channel: Channel, **changes: object) -> NewSession:
        """A new session, not inserted yet."""
        b2b = channel is Channel.B2B
        values: dict[str, object] = {
            "session_id": str(uuid4()),
            "channel": channel,
            "owner_id": self.store_id if b2b else self.user_id,
            "model_image_url": "https://example.test/person.jpg?token=a",
            "outfit_image_url": "https://example.test/shirt.jpg?token=b",
            "accessories": () if b2b else ({"type": "hat", "url": "https://example.test/hat"},),
            "prompt_system": "Dress the person. café 試着",
            "request_id": f"req_{uuid4()}" if b2b else None,
            "shopper_email": SHOPPER if b2b else None,
        }
        return NewSession(**values | changes)  # type: ignore[arg-type]


class SqlAccounts:
    """Implements `Accounts` in PostgreSQL."""

    def __init__(self, server: SupabaseServer) -> None:
        self._run = server.run

    async def add_user(self, user_id: str, *, credits: int) -> None:
        self._run(
            f"INSERT INTO users VALUES ('{user_id}');"
            f"INSERT INTO user_credits (user_id, balance) VALUES ('{user_id}', {credits})"
        )

    async def add_store(
        self, store_id: str, *, credits: int, billing_mode: str = "absorb_mode"
    ) -> None:
        self._run(
            "INSERT INTO stores (id, shop_domain, billing_mode) "
            f"VALUES ('{store_id}', '{store_id}.example', '{billing_mode}');"
            f"INSERT INTO store_credits (store_id, balance) VALUES ('{store_id}', {credits})"
        )

    async def add_shopper(self, store_id: str, email: str, *, credits: int) -> None:
        self._run(
            "INSERT INTO store_shopper_credits (store_id, shopper_email, balance) "
            f"VALUES ('{store_id}', '{email}', {credits})"
        )

    async def add_overage(self, store_id: str, request_id: str) -> None:
        self._run(
            "INSERT INTO store_credit_transactions (store_id, amount, type, request_id) "
            f"VALUES ('{store_id}', 0, 'overage', '{request_id}')"
        )

    async def user_balance(self, user_id: str) -> int:
        return int(self._run(f"SELECT balance FROM user_credits WHERE user_id = '{user_id}'"))

    async def store_balance(self, store_id: str) -> int:
        return int(self._run(f"SELECT balance FROM store_credits WHERE store_id = '{store_id}'"))

    async def shopper_balance(self, store_id: str, email: str) -> int:
        where = f"store_id = '{store_id}' AND shopper_email = '{email}'"
        return int(self._run(f"SELECT balance FROM store_shopper_credits WHERE {where}"))


def skip_or_fail(why: str) -> None:
    """Tests of an unavailable server are skipped on a laptop and fail in CI."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def settings_for(server: SupabaseServer, **changes: object) -> Settings:
    values: dict[str, object] = {
        "supabase_url": server.url,
        "supabase_service_role_key": SecretStr(SERVICE_KEY),
        "bucket": BUCKET,
    }
    settings = Settings(**values | changes)
    if "supabase_timeout_s" in changes:
        return settings
    # A busy machine may answer later than a refund's lock allows in production.
    return settings.model_copy(update={"supabase_timeout_s": 120.0})


@asynccontextmanager
async def local_store(folder: Path) -> AsyncIterator[StoreUnderTest]:
    ledger = LocalLedger(folder / "wearon.db")
    sessions = LocalSessions(folder / "wearon.db")
    storage = LocalStorage(
        folder / "files", base_url="http://127.0.0.1:1", secret_path=folder / "secret"
    )
    try:
        yield await peopled("local", sessions, ledger, storage, ledger)
    finally:
        sessions.close()
        ledger.close()


async def peopled(
    name: str, sessions: Sessions, ledger: Ledger, storage: Storage, accounts: Accounts
) -> StoreUnderTest:
    user_id, store_id = str(uuid4()), str(uuid4())
    await accounts.add_user(user_id, credits=5)
    await accounts.add_store(store_id, credits=5)
    await accounts.add_shopper(store_id, SHOPPER, credits=5)
    return StoreUnderTest(
        name=name,
        sessions=sessions,
        ledger=ledger,
        storage=storage,
        accounts=accounts,
        user_id=user_id,
        store_id=store_id,
    )
