"""Credits in Supabase, through the platform's own functions."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from wearon_cli.adapters.rows import pg_codes
from wearon_cli.adapters.rows.ledger import (
    account_from_rows,
    domain_of,
    entry_from_row,
    is_id,
    refund_key,
    taking_from_row,
)
from wearon_cli.adapters.supabase.client import Supabase, rows_of
from wearon_cli.core.credits import replay_request_id
from wearon_cli.core.errors import InputError, NoCreditLeft, StoreRefused, StoreUnavailable
from wearon_cli.core.ledger import BY_HAND, Account, EntryKind, LedgerEntry, Payer, Taking
from wearon_cli.core.session import Channel, Session

#: Credits one try-on costs.
CREDIT: Final = 1

_USER_LEDGER: Final = "credit_transactions"
_STORE_LEDGER: Final = "store_credit_transactions"
#: What a credit taken is called in each.
_TAKINGS: Final = {_USER_LEDGER: EntryKind.GENERATION, _STORE_LEDGER: EntryKind.DEDUCTION}


class SupabaseLedger:
    """Implements `Ledger`."""

    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def entries_of(self, session: Session) -> Sequence[LedgerEntry]:
        """See `Ledger.entries_of`."""
        if session.channel is Channel.B2C:
            return await self._entries(
                _USER_LEDGER,
                lambda query: query.eq("user_id", session.owner_id).ilike(
                    "description", f"*{session.session_id}*"
                ),
            )
        replays = f"request_id.like.{_quoted(replay_request_id(session.session_id, '*'))}"
        mine = f"request_id.eq.{_quoted(session.request_id)}," if session.request_id else ""
        return await self._entries(
            _STORE_LEDGER,
            lambda query: query.eq("store_id", session.owner_id).or_(mine + replays),
        )

    async def account(self, channel: Channel, name: str) -> Account | None:
        """
        See `Ledger.account`. Whether `users` has a column `email` is not documented by the
        platform: without it, users are found by id only.
        """
        b2b = channel is Channel.B2B
        table, owner_column = ("stores", "store_id") if b2b else ("users", "user_id")
        column = "id" if is_id(name) else "shop_domain" if b2b else "email"
        names = [domain_of(name)] if column == "shop_domain" else [name, name.strip().lower()]
        columns = "id,shop_domain,billing_mode,status" if b2b else "id"
        try:
            owner = await self._first(table, columns, column, names)
        except StoreRefused as exc:
            if column != "email" or exc.vendor_code != pg_codes.NO_COLUMN:
                raise
            raise InputError(
                "this platform's users cannot be looked up by e-mail", hint="give the user's id"
            ) from exc
        if owner is None:
            return None
        credits = await self._first(
            "store_credits" if b2b else "user_credits", "balance", owner_column, [str(owner["id"])]
        )
        return account_from_rows(channel, owner, credits)

    async def _first(
        self, table: str, columns: str, column: str, values: Sequence[str]
    ) -> dict[str, Any] | None:
        what = f"select {table}"

        async def look() -> list[dict[str, Any]]:
            query = self._supabase.client.table(table).select(columns).in_(column, values).limit(1)
            return rows_of(what, (await query.execute()).data)

        return next(iter(await self._supabase.repeatable(what, look)), None)

    async def user_refunds(
        self, user_id: str, *, since: datetime, until: datetime
    ) -> Sequence[LedgerEntry]:
        """See `Ledger.user_refunds`."""
        return await self._entries(
            _USER_LEDGER,
            lambda query: (
                query.eq("user_id", user_id)
                .eq("type", EntryKind.REFUND.value)
                .gte("created_at", since.isoformat())
                .lte("created_at", until.isoformat())
                .limit(100)
            ),
        )

    async def taken_by_hand(self, *, since: datetime, limit: int) -> Sequence[Taking]:
        """See `Ledger.taken_by_hand`."""

        def narrow(query: Any) -> Any:
            query = query.like("description", f"{BY_HAND}*").gte("created_at", since.isoformat())
            return query.order("created_at", desc=True).limit(limit)

        found = [
            taking_from_row(row)
            for table, kind in _TAKINGS.items()
            for row in await self._rows(table, narrow)
            if row.get("type") == kind.value  # not a refund of these words
        ]
        return sorted(found, key=lambda each: each.entry.created_at, reverse=True)[:limit]

    async def _entries(self, table: str, narrow: Callable[[Any], Any]) -> list[LedgerEntry]:
        rows = await self._rows(table, lambda query: narrow(query).order("created_at"))
        return [entry_from_row(row) for row in rows]

    async def _rows(self, table: str, narrow: Callable[[Any], Any]) -> list[dict[str, Any]]:
        what = f"select {table}"

        async def look() -> list[dict[str, Any]]:
            query = narrow(self._supabase.client.table(table).select("*"))
            return rows_of(what, (await query.execute()).data)

        return await self._supabase.repeatable(what, look)

    async def refund(self, payer: Payer, description: str) -> bool:
        """See `Ledger.refund`."""
        if payer.channel is Channel.B2C:
            await self._refund_user(payer.owner_id, description)
            return True
        args = {
            "p_store_id": payer.owner_id,
            "p_amount": CREDIT,
            "p_request_id": refund_key(payer.request_id),
            "p_description": description,
        }
        if payer.shopper_email is None:
            return await self._refund_once("refund_store_credits", **args)
        args["p_shopper_email"] = payer.shopper_email
        return await self._refund_once("refund_store_shopper_credits", **args)

    async def take(self, payer: Payer, description: str) -> bool:
        """See `Ledger.take`. After `StoreUnavailable` the credit may have been taken."""
        args: dict[str, Any] = {"p_amount": CREDIT, "p_description": description}
        if payer.channel is Channel.B2C:
            function = "deduct_credits"
            args["p_user_id"] = payer.owner_id
        else:
            function = "deduct_store_credits"
            args |= {"p_store_id": payer.owner_id, "p_request_id": payer.request_id}
        if payer.shopper_email:
            function = "deduct_store_shopper_credits"
            args["p_shopper_email"] = payer.shopper_email
        try:
            answer = await self._call(function, **args)
        except StoreRefused as exc:
            if exc.vendor_code != pg_codes.DUPLICATE:
                raise
            return False
        if answer is False:  # HTTP 200, but nothing was written
            raise NoCreditLeft
        return True

    async def _refund_user(self, user_id: str, description: str) -> None:
        """
        Sent once, never retried. When the answer is lost, the ledger is read: a refund with exactly
        this description means that it arrived.
        """
        try:
            await self._call(
                "refund_credits",
                p_user_id=user_id,
                p_amount=CREDIT,
                p_description=description,
            )
        except StoreUnavailable as exc:
            if exc.unsent or not await self._was_refunded(user_id, description):
                raise

    async def _refund_once(self, function: str, **args: Any) -> bool:
        """Safe to retry: the ledger's constraint refuses a second one."""
        try:
            try:
                await self._call(function, **args)
            except StoreUnavailable as exc:
                if exc.unsent:
                    raise
                await self._call(function, **args)
        except StoreRefused as exc:
            if exc.vendor_code != pg_codes.DUPLICATE:
                raise
            return False
        return True

    async def _was_refunded(self, user_id: str, description: str) -> bool:
        what = f"select {_USER_LEDGER}"

        async def look() -> list[dict[str, Any]]:
            query = (
                self._supabase.client.table(_USER_LEDGER)
                .select("amount")
                .eq("user_id", user_id)
                .eq("type", EntryKind.REFUND.value)
                .eq("description", description)
                .limit(1)
            )
            return rows_of(what, (await query.execute()).data)

        return bool(await self._supabase.repeatable(what, look))

    async def _call(self, function: str, **args: Any) -> Any:
        async def send() -> Any:
            return (await self._supabase.client.rpc(function, args).execute()).data

        return await self._supabase.once(f"rpc {function}", send)


def _quoted(value: str) -> str:
    """Quote a value inside PostgREST's `or=(...)`: request ids are the caller's own text."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
