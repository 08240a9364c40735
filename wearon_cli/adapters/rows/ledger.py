"""How ledger rows are read, in every session store."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from wearon_cli.core.errors import StoreRefused
from wearon_cli.core.ledger import Account, EntryKind, LedgerEntry, Taking
from wearon_cli.core.session import Channel

_KINDS = {kind.value: kind for kind in EntryKind}


def entry_from_row(row: Mapping[str, Any]) -> LedgerEntry:
    """
    Read one row of `store_credit_transactions` or `credit_transactions`.

    Raises:
        StoreRefused: A column is missing or has an invalid value.
    """
    try:
        return LedgerEntry(
            kind=_KINDS.get(row["type"], EntryKind.OTHER),
            amount=int(row["amount"]),
            description=row["description"] or "",
            created_at=datetime.fromisoformat(row["created_at"]),
            request_id=row.get("request_id"),
        )
    except (KeyError, ValueError, TypeError) as exc:
        raise _unreadable(exc) from exc


def taking_from_row(row: Mapping[str, Any]) -> Taking:
    """
    Read one row of either ledger, and whose it is.

    Raises:
        StoreRefused: A column is missing or has an invalid value.
    """
    store = row.get("store_id")
    return Taking(
        channel=Channel.B2B if store else Channel.B2C,
        owner_id=str(store or row.get("user_id")),
        entry=entry_from_row(row),
    )


def account_from_rows(
    channel: Channel, owner: Mapping[str, Any], credits: Mapping[str, Any] | None
) -> Account:
    """
    Read a row of `users` or `stores`, and the one of its credits, if there is one.

    Raises:
        StoreRefused: A column is missing or has an invalid value.
    """
    try:
        return Account(
            channel=channel,
            owner_id=str(owner["id"]),
            credits=int(credits["balance"]) if credits else 0,
            shop_domain=owner["shop_domain"] if channel is Channel.B2B else "",
            shoppers_pay=owner.get("billing_mode") == "resell_mode",
            is_active=owner.get("status", "active") == "active",
        )
    except (KeyError, ValueError, TypeError) as exc:
        raise _unreadable(exc) from exc


def is_id(name: str) -> bool:
    """True when this is the id of an account, not its e-mail or domain."""
    try:
        UUID(name)
    except ValueError:
        return False
    return True


def domain_of(name: str) -> str:
    """The domain in pasted text: a store's address, or its domain in any letter case."""
    return name.strip().lower().removeprefix("https://").removeprefix("http://").partition("/")[0]


def refund_key(request_id: str | None) -> str:
    """
    The request id of a b2b refund. Without one the ledger's constraint does not prevent a second
    refund.

    Raises:
        StoreRefused: It is empty.
    """
    if not (request_id or "").strip():
        raise StoreRefused("a store's refund without a request id could be given twice")
    return str(request_id)


def _unreadable(exc: Exception) -> StoreRefused:
    return StoreRefused(
        f"a ledger row has an unexpected value ({type(exc).__name__})",
        hint="the platform's schema changed: `wearon doctor` names the column",
    )
