"""Credits in the local stack's SQLite file."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from wearon_cli.adapters.local import functions as functions
from wearon_cli.adapters.local.db import LocalDatabase, uuid_text
from wearon_cli.adapters.rows import pg_codes
from wearon_cli.adapters.rows.ledger import entry_from_row, refund_key, standing_from_rows
from wearon_cli.core.credits import LedgerEntry, UserStanding
from wearon_cli.core.errors import StoreRefused
from wearon_cli.core.session import Channel, NewSession


class LocalLedger:
    """Implements `Ledger`."""

    def __init__(self, db_path: Path) -> None:
        self._db = LocalDatabase(db_path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    async def store_entries(self, store_id: str, request_id: str) -> Sequence[LedgerEntry]:
        """See `Ledger.store_entries`."""
        owner = uuid_text(store_id)

        def look(db: sqlite3.Connection) -> list[sqlite3.Row]:
            return db.execute(
                "SELECT * FROM store_credit_transactions WHERE store_id = ? AND request_id = ? "
                "ORDER BY created_at, rowid",
                (owner, request_id),
            ).fetchall()

        return [entry_from_row(dict(row)) for row in await self._db.read(look)]

    async def user_standing(self, user_id: str, session_id: str) -> UserStanding:
        """See `Ledger.user_standing`."""
        owner = uuid_text(user_id)

        def look(db: sqlite3.Connection) -> list[sqlite3.Row]:
            return db.execute(
                "SELECT type, amount, description FROM credit_transactions WHERE user_id = ?",
                (owner,),
            ).fetchall()

        return standing_from_rows(map(dict, await self._db.read(look)), session_id)

    async def refund_store(self, store_id: str, request_id: str, description: str) -> bool:
        """See `Ledger.refund_store`."""
        owner, key = uuid_text(store_id), refund_key(request_id)
        return await self._once(
            lambda db: functions.refund_store_credits(db, owner, key, description)
        )

    async def refund_shopper(
        self, store_id: str, email: str, request_id: str, description: str
    ) -> bool:
        """See `Ledger.refund_shopper`."""
        owner, key = uuid_text(store_id), refund_key(request_id)
        return await self._once(
            lambda db: functions.refund_store_shopper_credits(db, owner, email, key, description)
        )

    async def refund_user(self, user_id: str, description: str) -> None:
        """See `Ledger.refund_user`."""
        owner = uuid_text(user_id)
        await self._db.write(lambda db: functions.refund_credits(db, owner, description))

    async def take(
        self, new: NewSession, *, shopper_pays: bool = False, description: str = "Try-on"
    ) -> None:
        """See `Ledger.take`."""
        owner, key = uuid_text(new.owner_id), new.request_id

        def deduct(db: sqlite3.Connection) -> None:
            if new.channel is Channel.B2C:
                functions.deduct_credits(db, owner, description)
            elif shopper_pays:
                email = new.shopper_email or ""
                functions.deduct_store_shopper_credits(db, owner, email, key, description)
            else:
                functions.deduct_store_credits(db, owner, key, description)

        await self._db.write(deduct)

    async def _once(self, refund: Callable[[sqlite3.Connection], None]) -> bool:
        try:
            await self._db.write(refund)
        except StoreRefused as exc:
            if exc.vendor_code != pg_codes.DUPLICATE:
                raise
            return False
        return True

    # ------------------------------------------------------------------ accounts
    # The platform makes these; here `--local` does. None of them changes an existing account.

    async def add_user(self, user_id: str, *, credits: int) -> None:
        """Make a user with a signup bonus."""
        await self._db.write(lambda db: functions.open_user(db, uuid_text(user_id), credits))

    async def add_store(
        self, store_id: str, *, credits: int, billing_mode: str = "absorb_mode"
    ) -> None:
        """Make a store that has bought credits."""
        await self._db.write(
            lambda db: functions.open_store(db, uuid_text(store_id), credits, billing_mode)
        )

    async def add_shopper(self, store_id: str, email: str, *, credits: int) -> None:
        """Make a shopper of a store, who has bought credits from it."""
        await self._db.write(
            lambda db: functions.open_shopper(db, uuid_text(store_id), email, credits)
        )

    async def add_overage(self, store_id: str, request_id: str) -> None:
        """Write down a try-on that was charged outside the credits."""
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
