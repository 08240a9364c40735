"""Accounts by name: every session store finds the same accounts."""

from uuid import uuid4

import pytest

from devkit.servers.supabase import SupabaseServer
from devkit.stores import SHOPPER, StoreUnderTest, settings_for
from wearon_cli.adapters.supabase.store import open_supabase
from wearon_cli.core.errors import InputError
from wearon_cli.core.operator.payers import choose_payer
from wearon_cli.core.session import Channel

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_user_is_found_by_id_with_its_credits(store: StoreUnderTest) -> None:
    for name in (store.user_id, store.user_id.upper()):
        account = await store.ledger.account(Channel.B2C, name)
        assert account is not None
        assert (account.owner_id, account.credits) == (store.user_id, 5)
    assert await store.ledger.account(Channel.B2C, str(uuid4())) is None
    assert await store.ledger.account(Channel.B2C, store.store_id) is None


async def test_a_store_is_found_by_id_domain_or_address(store: StoreUnderTest) -> None:
    by_id = await store.ledger.account(Channel.B2B, store.store_id)
    assert by_id is not None
    assert (by_id.credits, by_id.shoppers_pay, by_id.is_active) == (5, False, True)
    domain = by_id.shop_domain
    for name in (domain, domain.upper(), f"https://{domain}/admin"):
        assert await store.ledger.account(Channel.B2B, name) == by_id
    for name in ("nobody.example", "", "%", "*", "a,b)", store.user_id):
        assert await store.ledger.account(Channel.B2B, name) is None


async def test_in_a_store_that_resells_a_shopper_has_to_be_named(store: StoreUnderTest) -> None:
    resell = str(uuid4())
    await store.accounts.add_store(resell, credits=0, billing_mode="resell_mode")
    with pytest.raises(InputError, match="shoppers pay"):
        await choose_payer(store.ledger, Channel.B2B, resell)
    named = await choose_payer(store.ledger, Channel.B2B, resell, shopper_email=SHOPPER)
    free = await choose_payer(store.ledger, Channel.B2B, resell, is_free=True)
    assert (named.shopper_pays, free.shopper_pays) == (True, False)
    assert SHOPPER not in named.sentence
    absorbing = await choose_payer(store.ledger, Channel.B2B, store.store_id, shopper_email=SHOPPER)
    assert not absorbing.shopper_pays  # the store does, whoever it is for
    assert "one of the 5 credits" in absorbing.sentence


async def test_what_the_rules_do_not_allow_is_refused(store: StoreUnderTest) -> None:
    with pytest.raises(InputError, match="never taken"):
        await choose_payer(store.ledger, Channel.B2C, store.user_id, is_free=True)
    with pytest.raises(InputError, match=r"no store nobody\.example"):
        await choose_payer(store.ledger, Channel.B2B, "nobody.example")
    with pytest.raises(InputError) as refused:
        await choose_payer(store.ledger, Channel.B2C, "somebody@nowhere.test")
    assert "somebody" not in f"{refused.value} {refused.value.hint}"


async def test_users_of_supabase_are_found_by_e_mail(supabase_server: SupabaseServer) -> None:
    user = str(uuid4())
    email = f"ann_{user[:8]}@example.test"
    supabase_server.run(
        f"INSERT INTO users VALUES ('{user}', '{email}'); "
        f"INSERT INTO user_credits (user_id, balance) VALUES ('{user}', 3)"
    )
    async with open_supabase(settings_for(supabase_server)) as store:
        for name in (email, f" {email.upper()} "):
            account = await store.ledger.account(Channel.B2C, name)
            assert account is not None
            assert (account.owner_id, account.credits) == (user, 3)
        assert await store.ledger.account(Channel.B2C, email.replace("_", "x")) is None


async def test_without_an_e_mail_column_the_user_must_be_given_by_id(
    supabase_server: SupabaseServer,
) -> None:
    supabase_server.run("ALTER TABLE users RENAME COLUMN email TO hidden")
    try:
        async with open_supabase(settings_for(supabase_server)) as store:
            with pytest.raises(InputError, match="cannot be looked up by e-mail"):
                await store.ledger.account(Channel.B2C, "ann@example.test")
    finally:
        supabase_server.run("ALTER TABLE users RENAME COLUMN hidden TO email")


async def test_a_store_that_was_uninstalled_is_not_sold_to(
    supabase_server: SupabaseServer,
) -> None:
    store_id = str(uuid4())
    supabase_server.run(
        "INSERT INTO stores (id, shop_domain, status) "
        f"VALUES ('{store_id}', 'gone-{store_id}.example', 'inactive')"
    )
    async with open_supabase(settings_for(supabase_server)) as store:
        with pytest.raises(InputError, match="inactive"):
            await choose_payer(store.ledger, Channel.B2B, f"gone-{store_id}.example")
