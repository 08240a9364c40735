"""Credits in the local stack's SQLite file."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from wearon_cli.adapters.local import functions
from wearon_cli.adapters.local.db import LocalDatabase, time_text, uuid_text
from wearon_cli.adapters.rows import pg_codes
from wearon_cli.adapters.rows.ledger import (
    account_from_rows,
    domain_of,
    entry_from_row,
    is_id,
    refund_key,
    taking_from_row,
)
from wearon_cli.core.credits import replay_request_id
from wearon_cli.core.errors import InputError, NoCreditLeft, StoreRefused
from wearon_cli.core.ledger import BY_HAND, Account, LedgerEntry, Payer, Taking
from wearon_cli.core.session import Channel, Session

#: By channel and whether an id is given: the query for the owner's row and for its credits.
_ACCOUNTS: Final = {
    (Channel.B2C, True): (
        "SELECT id FROM users WHERE id = ?",
        "SELECT balance FROM user_credits WHERE user_id = ?",
    ),
    **{
        (Channel.B2B, by_id): (
            f"SELECT * FROM stores WHERE {column} = ?",  # noqa: S608 - both are ours
            "SELECT balance FROM store_credits WHERE store_id = ?",
        )
        for by_id, column in ((True, "id"), (False, "shop_domain"))
    },
}
#: Columns that only one of the tables has are NULL for the other.
_TAKEN_BY_HAND: Final = """
SELECT user_id, NULL AS store_id, NULL AS request_id, type, amount, description, created_at
FROM credit_transactions
WHERE type = 'generation' AND created_at >= :since AND instr(description, :text) = 1
UNION ALL
SELECT NULL, store_id, request_id, type, amount, description, created_at
FROM store_credit_transactions
WHERE type = 'deduction' AND created_at >= :since AND instr(description, :text) = 1
ORDER BY created_at DESC LIMIT :limit
"""


class LocalLedger:
    """Implements `Ledger`."""

    def __init__(self, db_path: Path) -> None:
        self._db = LocalDatabase(db_path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    async def entries_of(self, session: Session) -> Sequence[LedgerEntry]:
        """See `Ledger.entries_of`."""
        owner = uuid_text(session.owner_id)
        if session.channel is Channel.B2C:
            sql = (
                "SELECT type, amount, description, created_at FROM credit_transactions "
                "WHERE user_id = ? AND instr(lower(description), lower(?)) "
                "ORDER BY created_at, rowid"
            )
            return await self._entries(sql, owner, session.session_id)
        sql = (
            "SELECT * FROM store_credit_transactions WHERE store_id = ? "
            "AND (request_id = ? OR instr(request_id, ?) = 1) ORDER BY created_at, rowid"
        )
        replays = replay_request_id(session.session_id, "")
        return await self._entries(sql, owner, session.request_id, replays)

    async def account(self, channel: Channel, name: str) -> Account | None:
        """See `Ledger.account`."""
        if channel is Channel.B2C and not is_id(name):
            raise InputError(
                "users of a local stack have no e-mail address",
                hint="use the user's id, or leave the owner out",
            )
        owner_sql, credits_sql = _ACCOUNTS[channel, is_id(name)]

        def look(db: sqlite3.Connection) -> tuple[sqlite3.Row, sqlite3.Row | None] | None:
            owner = db.execute(owner_sql, (_plain(name),)).fetchone()
            return (owner, db.execute(credits_sql, (owner["id"],)).fetchone()) if owner else None

        found = await self._db.read(look)
        if found is None:
            return None
        owner, credits = found
        return account_from_rows(channel, dict(owner), dict(credits) if credits else None)

    async def user_refunds(
        self, user_id: str, *, since: datetime, until: datetime
    ) -> Sequence[LedgerEntry]:
        """See `Ledger.user_refunds`."""
        sql = (
            "SELECT type, amount, description, created_at FROM credit_transactions "
            "WHERE user_id = ? AND type = 'refund' AND created_at BETWEEN ? AND ? "
            "ORDER BY created_at LIMIT 100"
        )
        return await self._entries(sql, uuid_text(user_id), time_text(since), time_text(until))

    async def taken_by_hand(self, *, since: datetime, limit: int) -> Sequence[Taking]:
        """See `Ledger.taken_by_hand`."""

        def look(db: sqlite3.Connection) -> list[sqlite3.Row]:
            values = {"since": time_text(since), "text": BY_HAND, "limit": limit}
            return db.execute(_TAKEN_BY_HAND, values).fetchall()

        return [taking_from_row(dict(row)) for row in await self._db.read(look)]

    async def refund(self, payer: Payer, description: str) -> bool:
        """See `Ledger.refund`."""
        owner = uuid_text(payer.owner_id)
        if payer.channel is Channel.B2C:
            await self._db.write(lambda db: functions.refund_credits(db, owner, description))
            return True
        key, email = refund_key(payer.request_id), payer.shopper_email
        if email is None:
            return await self._once(
                lambda db: functions.refund_store_credits(db, owner, key, description)
            )
        return await self._once(
            lambda db: functions.refund_store_shopper_credits(db, owner, email, key, description)
        )

    async def take(self, payer: Payer, description: str) -> bool:
        """See `Ledger.take`."""
        owner, key = uuid_text(payer.owner_id), payer.request_id

        def deduct(db: sqlite3.Connection) -> None:
            if payer.channel is Channel.B2C:
                taken = functions.deduct_credits(db, owner, description)
            elif payer.shopper_email:
                email = payer.shopper_email
                taken = functions.deduct_store_shopper_credits(db, owner, email, key, description)
            else:
                taken = functions.deduct_store_credits(db, owner, key, description)
            if not taken:
                raise NoCreditLeft

        return await self._once(deduct)

    async def _entries(self, sql: str, *values: str | None) -> list[LedgerEntry]:
        def look(db: sqlite3.Connection) -> list[sqlite3.Row]:
            return db.execute(sql, values).fetchall()

        return [entry_from_row(dict(row)) for row in await self._db.read(look)]

    async def _once(self, change: Callable[[sqlite3.Connection], None]) -> bool:
        """Make a change. False: the ledger's constraint says that it was made before."""
        try:
            await self._db.write(change)
        except StoreRefused as exc:
            if exc.vendor_code != pg_codes.DUPLICATE:
                raise
            return False
        return True

    # ------------------------------------------------------------------ accounts
    # The platform creates these; here `--local` does. None of them changes an existing account.

    async def add_user(self, user_id: str, *, credits: int) -> None:
        """Create a user with a signup bonus."""
        await self._db.write(lambda db: functions.open_user(db, uuid_text(user_id), credits))

    async def add_store(
        self,
        store_id: str,
        *,
        credits: int,
        billing_mode: str = "absorb_mode",
        shop_domain: str | None = None,
    ) -> None:
        """Create a store that has bought credits. Without a domain, one is made from its id."""
        domain = shop_domain or f"{store_id}.shop.test"
        await self._db.write(
            lambda db: functions.open_store(db, uuid_text(store_id), domain, credits, billing_mode)
        )

    async def add_shopper(self, store_id: str, email: str, *, credits: int) -> None:
        """Create a shopper of a store, who has bought credits from it."""
        await self._db.write(
            lambda db: functions.open_shopper(db, uuid_text(store_id), email, credits)
        )

    async def add_overage(self, store_id: str, request_id: str) -> None:
        """Record a try-on that was charged outside the credits."""
        await self._db.write(
            lambda db: functions.record_overage(db, uuid_text(store_id), request_id)
        )

    async def user_balance(self, user_id: str) -> int:
        """Credits a user has; 0 without an account."""
        return await self._balance("user_credits", "user_id = ?", uuid_text(user_id))

    async def store_balance(self, store_id: str) -> int:
        """Credits a store has; 0 without an account."""
        return await self._balance("store_credits", "store_id = ?", uuid_text(store_id))

    async def shopper_balance(self, store_id: str, email: str) -> int:
        """Credits a store's shopper has; 0 without an account."""
        where = "store_id = ? AND shopper_email = ?"
        owner = (uuid_text(store_id), email.strip().lower())
        return await self._balance("store_shopper_credits", where, *owner)

    async def _balance(self, table: str, where: str, *owner: str) -> int:
        sql = f"SELECT balance FROM {table} WHERE {where}"  # noqa: S608 - both are ours

        def look(db: sqlite3.Connection) -> int:
            found = db.execute(sql, owner).fetchone()
            return int(found[0]) if found else 0

        return await self._db.read(look)


def _plain(name: str) -> str:
    """An id or a domain, as the file has them."""
    return uuid_text(name) if is_id(name) else domain_of(name)
