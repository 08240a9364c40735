"""Credits in Supabase, through the platform's own functions."""

from collections.abc import Sequence
from typing import Any, Final

from postgrest.types import CountMethod

from wearon_cli.adapters.rows import pg_codes
from wearon_cli.adapters.rows.ledger import entry_from_row, refund_key, standing_from_rows
from wearon_cli.adapters.supabase.client import Supabase, rows_of
from wearon_cli.core.credits import EntryKind, LedgerEntry, UserStanding
from wearon_cli.core.errors import StoreRefused, StoreUnavailable
from wearon_cli.core.session import Channel, NewSession

#: Credits one try-on costs.
CREDIT: Final = 1
#: Rows asked for at once. The server may give fewer: hosted Supabase gives at most 1000.
PAGE_ROWS: Final = 1000

_USER_LEDGER: Final = "credit_transactions"
_STORE_LEDGER: Final = "store_credit_transactions"


class SupabaseLedger:
    """Implements `Ledger`."""

    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def store_entries(self, store_id: str, request_id: str) -> Sequence[LedgerEntry]:
        """See `Ledger.store_entries`."""
        what = f"select {_STORE_LEDGER}"

        async def look() -> list[dict[str, Any]]:
            query = (
                self._supabase.client.table(_STORE_LEDGER)
                .select("type, amount, description, created_at, request_id")
                .eq("store_id", store_id)
                .eq("request_id", request_id)
                .order("created_at")
            )
            return rows_of(what, (await query.execute()).data)

        return [entry_from_row(row) for row in await self._supabase.repeatable(what, look)]

    async def user_standing(self, user_id: str, session_id: str) -> UserStanding:
        """See `Ledger.user_standing`. One call for every thousand rows of the user."""
        rows: list[dict[str, Any]] = []
        while True:
            page, total = await self._user_page(user_id, start=len(rows))
            rows += page
            if not page or len(rows) >= total:
                return standing_from_rows(rows, session_id)

    async def _user_page(self, user_id: str, *, start: int) -> tuple[list[dict[str, Any]], int]:
        """A page of the user's ledger, and how many rows there are in all."""
        what = f"select {_USER_LEDGER}"

        async def look() -> tuple[list[dict[str, Any]], int]:
            query = (
                self._supabase.client.table(_USER_LEDGER)
                .select("type, amount, description", count=CountMethod.exact)
                .eq("user_id", user_id)
                .in_("type", [EntryKind.GENERATION.value, EntryKind.REFUND.value])
                # New rows come last, and equal ones may change places without harm.
                .order("created_at")
                .order("type")
                .order("description")
                .order("amount")
                .range(start, start + PAGE_ROWS - 1)
            )
            found = await query.execute()
            page = rows_of(what, found.data)
            return page, start + len(page) if found.count is None else found.count

        return await self._supabase.repeatable(what, look)

    async def refund_store(self, store_id: str, request_id: str, description: str) -> bool:
        """See `Ledger.refund_store`."""
        return await self._refund_once(
            "refund_store_credits",
            p_store_id=store_id,
            p_amount=CREDIT,
            p_request_id=refund_key(request_id),
            p_description=description,
        )

    async def refund_shopper(
        self, store_id: str, email: str, request_id: str, description: str
    ) -> bool:
        """See `Ledger.refund_shopper`."""
        return await self._refund_once(
            "refund_store_shopper_credits",
            p_store_id=store_id,
            p_shopper_email=email,
            p_amount=CREDIT,
            p_request_id=refund_key(request_id),
            p_description=description,
        )

    async def refund_user(self, user_id: str, description: str) -> None:
        """
        See `Ledger.refund_user`. Sent once, never again. When the answer is lost, the ledger is
        looked at: a refund with this very description means that it arrived.
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

    async def take(
        self, new: NewSession, *, shopper_pays: bool = False, description: str = "Try-on"
    ) -> None:
        """See `Ledger.take`. After `StoreUnavailable` the credit may have been taken."""
        amount = {"p_amount": CREDIT, "p_description": description}
        if new.channel is Channel.B2C:
            await self._call("deduct_credits", p_user_id=new.owner_id, **amount)
            return
        store = {"p_store_id": new.owner_id, "p_request_id": new.request_id, **amount}
        if shopper_pays:
            mail = new.shopper_email or ""
            await self._call("deduct_store_shopper_credits", p_shopper_email=mail, **store)
        else:
            await self._call("deduct_store_credits", **store)

    async def _refund_once(self, function: str, **args: Any) -> bool:
        """The ledger's constraint makes it safe to repeat: a second one is refused."""
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

    async def _call(self, function: str, **args: Any) -> None:
        async def send() -> None:
            await self._supabase.client.rpc(function, args).execute()

        await self._supabase.once(f"rpc {function}", send)
