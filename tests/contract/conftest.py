"""Every store the product has, behind one face: the same tests run over each."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest
from pydantic import SecretStr

from tests.servers.postgres import NotToBeHad
from tests.servers.supabase import BUCKET, SERVICE_KEY, SupabaseServer
from wearon_cli.adapters.local_ledger import LocalLedger
from wearon_cli.adapters.local_sessions import LocalSessions
from wearon_cli.adapters.local_storage import LocalStorage
from wearon_cli.adapters.supabase_store import SupabaseStore, open_supabase
from wearon_cli.core.ports import Ledger, NewSession, Sessions, Storage
from wearon_cli.core.session import Channel
from wearon_cli.core.settings import Settings

SHOPPER = "shopper@example.test"


class Accounts(Protocol):
    """What the platform makes and the worker does not: owners with credits."""

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
class Store:
    """One store under test, with a user, a store and a shopper of its own who have 5 credits."""

    name: str
    sessions: Sessions
    ledger: Ledger
    storage: Storage
    accounts: Accounts
    user_id: str
    store_id: str

    def new(self, channel: Channel, **changes: object) -> NewSession:
        """A session about to be made."""
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
    """A server that cannot be had skips on a laptop and fails in CI."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def server() -> Iterator[SupabaseServer]:
    try:
        one = SupabaseServer()
    except NotToBeHad as exc:
        skip_or_fail(str(exc))
        raise
    with one:
        yield one


@pytest.fixture
def supabase_server(server: SupabaseServer) -> SupabaseServer:
    """The server with nothing failing."""
    server.door.clear()
    return server


def settings_for(server: SupabaseServer, **changes: object) -> Settings:
    values: dict[str, object] = {
        "supabase_url": server.url,
        "supabase_service_role_key": SecretStr(SERVICE_KEY),
        "supabase_timeout_s": 3.0,
        "bucket": BUCKET,
    }
    return Settings(**values | changes)  # type: ignore[arg-type]


@pytest.fixture
async def supabase(supabase_server: SupabaseServer) -> AsyncIterator[SupabaseStore]:
    async with open_supabase(settings_for(supabase_server)) as store:
        yield store


@pytest.fixture(params=["local", "supabase"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each store in turn, with owners nobody else has."""
    make = local_store(tmp_path) if request.param == "local" else supabase_store(request)
    async with make as one:
        yield one


@asynccontextmanager
async def local_store(folder: Path) -> AsyncIterator[Store]:
    ledger = LocalLedger(folder / "wearon.db")
    sessions = LocalSessions(folder / "wearon.db")
    storage = LocalStorage(
        folder / "files", base_url="http://127.0.0.1:1", secret_path=folder / "secret"
    )
    try:
        yield await _peopled("local", sessions, ledger, storage, ledger)
    finally:
        sessions.close()
        ledger.close()


@asynccontextmanager
async def supabase_store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    server: SupabaseServer = request.getfixturevalue("supabase_server")
    async with open_supabase(settings_for(server)) as store:
        yield await _peopled(
            "supabase", store.sessions, store.ledger, store.storage, SqlAccounts(server)
        )


async def _peopled(
    name: str, sessions: Sessions, ledger: Ledger, storage: Storage, accounts: Accounts
) -> Store:
    user_id, store_id = str(uuid4()), str(uuid4())
    await accounts.add_user(user_id, credits=5)
    await accounts.add_store(store_id, credits=5)
    await accounts.add_shopper(store_id, SHOPPER, credits=5)
    return Store(
        name=name,
        sessions=sessions,
        ledger=ledger,
        storage=storage,
        accounts=accounts,
        user_id=user_id,
        store_id=store_id,
    )
