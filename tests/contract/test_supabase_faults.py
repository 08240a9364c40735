"""Faults between the worker and Supabase: the effect of a lost or foreign answer on a call."""

import asyncio
from uuid import uuid4

import pytest
from pydantic import SecretStr

from devkit.servers.supabase import ANON_KEY, SupabaseServer, key_for
from devkit.stores import DONE, SHOPPER, SqlAccounts, settings_for
from devkit.waiting import reached
from wearon_cli.adapters.supabase.client import MAX_CONNECTIONS, SupabaseCall
from wearon_cli.adapters.supabase.store import open_supabase
from wearon_cli.core.credits import refund_text
from wearon_cli.core.errors import ObjectNotFound, StoreRefused, StoreUnavailable
from wearon_cli.core.ledger import Payer
from wearon_cli.core.session import (
    Channel,
    NewSession,
    Session,
    SessionMove,
    Status,
    complete,
    fail,
    start,
    utc_now,
)
from wearon_cli.core.session_store import SessionStore
from wearon_cli.core.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PATCH = {"method": "PATCH", "path": "/rest/v1/generation_sessions"}
#: Faults after which nothing happened, and those after which it did.
NOT_DONE = ("drop", "html", "html_502", "unavailable")


@pytest.fixture
async def user(supabase_server: SupabaseServer) -> str:
    user_id = str(uuid4())
    await SqlAccounts(supabase_server).add_user(user_id, credits=5)
    return user_id


@pytest.fixture
async def shop(supabase_server: SupabaseServer) -> str:
    store_id = str(uuid4())
    accounts = SqlAccounts(supabase_server)
    await accounts.add_store(store_id, credits=5)
    await accounts.add_shopper(store_id, SHOPPER, credits=5)
    return store_id


async def queued(supabase: SessionStore, user_id: str) -> Session:
    new = NewSession(
        session_id=str(uuid4()),
        channel=Channel.B2C,
        owner_id=user_id,
        model_image_url="https://example.test/a.jpg",
        prompt_system="x",
    )
    return await supabase.sessions.insert(new)


@pytest.mark.parametrize("fault", NOT_DONE)
async def test_a_swap_that_did_not_happen_is_not_reported_as_won(
    supabase: SessionStore, supabase_server: SupabaseServer, user: str, fault: str
) -> None:
    row = await queued(supabase, user)
    supabase_server.door.fail(fault, **PATCH, times=1)
    with pytest.raises(StoreUnavailable):
        await supabase.sessions.apply(row.key, start())
    assert await supabase.sessions.apply(row.key, start()) is not None  # and it can be had still


async def test_a_completion_whose_answer_was_lost_is_read_back_as_won(
    supabase: SessionStore, supabase_server: SupabaseServer, user: str
) -> None:
    row = await queued(supabase, user)
    await supabase.sessions.apply(row.key, start())
    supabase_server.door.fail("lost", **PATCH, times=1)
    done = await supabase.sessions.apply(row.key, complete(DONE))
    assert done is not None
    assert done.status is Status.COMPLETED


async def test_a_completion_lost_to_another_is_read_back_as_lost(
    supabase: SessionStore, supabase_server: SupabaseServer, user: str
) -> None:
    row = await queued(supabase, user)
    await supabase.sessions.apply(row.key, fail("another worker"))
    supabase_server.door.fail("lost", **PATCH, times=1)
    assert await supabase.sessions.apply(row.key, complete(DONE)) is None


async def test_a_start_whose_answer_was_lost_is_not_reported_as_won(
    supabase: SessionStore, supabase_server: SupabaseServer, user: str
) -> None:
    row = await queued(supabase, user)
    supabase_server.door.fail("lost", **PATCH, times=1)
    with pytest.raises(StoreUnavailable):
        await supabase.sessions.apply(row.key, start())
    held = await supabase.sessions.get(row.key)
    assert held is not None
    assert held.status is Status.PROCESSING  # the journal's lease decides who continues


async def test_a_users_refund_whose_answer_was_lost_is_given_once(
    supabase: SessionStore, supabase_server: SupabaseServer, user: str
) -> None:
    supabase_server.door.fail("lost", path="rpc/refund_credits", times=1)
    await supabase.ledger.refund(user_payer(user), f"Refund: {uuid4()}")
    assert await SqlAccounts(supabase_server).user_balance(user) == 6


@pytest.mark.parametrize("fault", NOT_DONE)
async def test_a_users_refund_is_never_sent_twice(
    supabase: SessionStore, supabase_server: SupabaseServer, user: str, fault: str
) -> None:
    supabase_server.door.fail(fault, path="rpc/refund_credits", times=1)
    with pytest.raises(StoreUnavailable):
        await supabase.ledger.refund(user_payer(user), f"Refund: {uuid4()}")
    sent = [line for line in supabase_server.door.seen if "refund_credits" in line]
    assert len(sent) == 1
    assert await SqlAccounts(supabase_server).user_balance(user) == 5


@pytest.mark.parametrize("fault", [*NOT_DONE, "lost"])
async def test_a_stores_refund_is_retried_and_given_once(
    supabase: SessionStore, supabase_server: SupabaseServer, shop: str, fault: str
) -> None:
    supabase_server.door.fail(fault, path="rpc/refund_store_credits", times=1)
    await supabase.ledger.refund(
        Payer(channel=Channel.B2B, owner_id=shop, request_id="req-1"), "Refund"
    )
    assert await SqlAccounts(supabase_server).store_balance(shop) == 6


@pytest.mark.parametrize("fault", [*NOT_DONE, "lost"])
async def test_reads_and_files_are_retried_once(
    supabase: SessionStore, supabase_server: SupabaseServer, user: str, fault: str
) -> None:
    row = await queued(supabase, user)
    path = f"generated/{uuid4()}.jpg"
    for method, part in (("GET", "/rest/"), ("POST", "/storage/")):
        supabase_server.door.fail(fault, method=method, path=part, times=1)
    assert await supabase.sessions.get(row.key) == row
    await supabase.storage.put(path, b"\xff\xd8\xff", content_type="image/jpeg")
    assert supabase_server.storage.objects[f"virtual-tryon-images/{path}"][0] == "image/jpeg"


@pytest.mark.parametrize("fault", [*NOT_DONE, "lost", "hang"])
async def test_an_outage_is_unavailable_and_never_a_refusal(
    supabase_server: SupabaseServer, user: str, fault: str
) -> None:
    quick = {"supabase_timeout_s": 0.6} if fault == "hang" else {}  # which ends in no other way
    async with open_supabase(settings_for(supabase_server)) as patient:
        row = await queued(patient, user)
    async with open_supabase(settings_for(supabase_server, **quick)) as supabase:

        async def is_back() -> bool:
            try:
                return await supabase.sessions.get(row.key) == row
            except StoreUnavailable:
                return False

        with supabase_server.door.failing(fault):
            for call in (
                supabase.sessions.get(row.key),
                supabase.storage.sign("a.jpg", life_s=60),
                supabase.ledger.entries_of(row),
            ):
                with pytest.raises(StoreUnavailable):
                    await call
        await reached(is_back)  # by itself


async def test_a_refused_connection_is_unavailable_and_unsent() -> None:
    settings = settings_for_url("http://127.0.0.1:1")
    async with open_supabase(settings) as supabase:
        with pytest.raises(StoreUnavailable) as outage:
            await supabase.ledger.refund(user_payer(str(uuid4())), "Refund")
    assert outage.value.unsent


def user_payer(user_id: str) -> Payer:
    return Payer(channel=Channel.B2C, owner_id=user_id)


def nobodys(user_id: str) -> Session:
    return Session(
        session_id=str(uuid4()),
        channel=Channel.B2C,
        owner_id=user_id,
        status=Status.FAILED,
        created_at=utc_now(),
    )


def settings_for_url(url: str) -> Settings:
    return Settings(supabase_url=url, supabase_service_role_key=SecretStr(key_for("service_role")))


@pytest.mark.parametrize(
    "key", [key_for("service_role", "another secret of at least 32 characters"), "nonsense"]
)
async def test_a_wrong_key_is_refused_with_our_own_message(
    supabase_server: SupabaseServer, user: str, key: str
) -> None:
    settings = settings_for(supabase_server, supabase_service_role_key=SecretStr(key))
    async with open_supabase(settings) as supabase:
        for call in (
            supabase.ledger.entries_of(nobodys(user)),
            supabase.storage.sign("a.jpg", life_s=60),
        ):
            with pytest.raises(StoreRefused, match="key") as refusal:
                await call
            assert key not in str(refusal.value)
            assert "SUPABASE_SERVICE_ROLE_KEY" in refusal.value.hint


async def test_an_anon_key_sees_no_rows_at_all(
    supabase: SessionStore, supabase_server: SupabaseServer, user: str
) -> None:
    row = await queued(supabase, user)
    settings = settings_for(supabase_server, supabase_service_role_key=SecretStr(ANON_KEY))
    async with open_supabase(settings) as anon:
        assert await anon.sessions.apply(row.key, start()) is None  # why the start checks the key
        with pytest.raises(StoreRefused):
            await anon.ledger.refund(user_payer(user), "Refund")


async def test_a_missing_bucket_is_not_a_missing_object(supabase_server: SupabaseServer) -> None:
    async with open_supabase(settings_for(supabase_server, bucket="elsewhere")) as supabase:
        with pytest.raises(StoreRefused, match="bucket") as refusal:
            await supabase.storage.sign("a.jpg", life_s=60)
        assert not isinstance(refusal.value, ObjectNotFound)
        with pytest.raises(StoreRefused, match="bucket"):
            await supabase.storage.put("a.jpg", b"\xff\xd8\xff", content_type="image/jpeg")


async def test_hundreds_of_tasks_share_the_connections(
    supabase_server: SupabaseServer, user: str
) -> None:
    calls: list[SupabaseCall] = []
    async with open_supabase(settings_for(supabase_server), on_call=calls.append) as supabase:
        row = await queued(supabase, user)
        supabase_server.door.gather = MAX_CONNECTIONS
        rows = await asyncio.gather(*(supabase.sessions.get(row.key) for _ in range(300)))
    assert rows == [row] * 300
    assert [call for call in calls if call.error] == []
    assert supabase_server.door.most_at_once == MAX_CONNECTIONS


async def test_a_long_ledger_is_searched_by_the_server(
    supabase: SessionStore, supabase_server: SupabaseServer, user: str
) -> None:
    supabase_server.run(
        "INSERT INTO credit_transactions (user_id, amount, type, description) "
        f"SELECT '{user}', -1, 'generation', 'Try-on' FROM generate_series(1, 2100)"
    )
    row = await queued(supabase, user)
    await supabase.ledger.refund(user_payer(user), refund_text(row.session_id))
    assert len(await supabase.ledger.entries_of(row)) == 1


async def test_a_failed_constraint_reveals_nothing_of_the_row(
    supabase: SessionStore, user: str
) -> None:
    row = await queued(supabase, user)
    wrong = SessionMove(
        expected=frozenset({Status.QUEUED}), to=Status.QUEUED, writes={"credits_used": "many"}
    )
    with pytest.raises(StoreRefused) as refusal:
        await supabase.sessions.apply(row.key, wrong)
    text = f"{refusal.value} {refusal.value.hint} {refusal.value.__cause__!r}"
    assert "example.test" not in text
    assert refusal.value.__cause__ is not None
