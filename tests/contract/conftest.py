"""The session stores under test."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from devkit.servers.postgres import NotToBeHad
from devkit.servers.supabase import SupabaseServer
from devkit.stores import (
    SqlAccounts,
    StoreUnderTest,
    local_store,
    peopled,
    settings_for,
    skip_or_fail,
)
from wearon_cli.adapters.supabase.store import open_supabase
from wearon_cli.core.session_store import SessionStore


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
    """The server without faults."""
    server.door.clear()
    return server


@pytest.fixture
async def supabase(supabase_server: SupabaseServer) -> AsyncIterator[SessionStore]:
    async with open_supabase(settings_for(supabase_server)) as store:
        yield store


@pytest.fixture(params=["local", "supabase"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreUnderTest]:
    """Each session store in turn, with owners of its own."""
    make = local_store(tmp_path) if request.param == "local" else supabase_store(request)
    async with make as one:
        yield one


@asynccontextmanager
async def supabase_store(request: pytest.FixtureRequest) -> AsyncIterator[StoreUnderTest]:
    server: SupabaseServer = request.getfixturevalue("supabase_server")
    async with open_supabase(settings_for(server)) as store:
        yield await peopled(
            "supabase", store.sessions, store.ledger, store.storage, SqlAccounts(server)
        )
