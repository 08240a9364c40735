"""How ledger rows are read, in every session store."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from wearon_cli.core.credits import EntryKind, LedgerEntry, UserStanding
from wearon_cli.core.errors import StoreRefused

_KINDS = {kind.value: kind for kind in EntryKind}


def entry_from_row(row: Mapping[str, Any]) -> LedgerEntry:
    """
    Read one row of `store_credit_transactions`.

    Raises:
        StoreRefused: A column is missing or has an invalid value.
    """
    try:
        return LedgerEntry(
            kind=_KINDS.get(row["type"], EntryKind.OTHER),
            amount=int(row["amount"]),
            description=row["description"] or "",
            created_at=datetime.fromisoformat(row["created_at"]),
            request_id=row["request_id"],
        )
    except (KeyError, ValueError, TypeError) as exc:
        raise _unreadable(exc) from exc


def standing_from_rows(rows: Iterable[Mapping[str, Any]], session_id: str) -> UserStanding:
    """
    Add up a user's rows of `credit_transactions`.

    Raises:
        StoreRefused: A column is missing or has an invalid value.
    """
    taken = refunded = session_refunds = 0
    try:
        for row in rows:
            if row["type"] == EntryKind.GENERATION.value:
                taken -= int(row["amount"])
            elif row["type"] == EntryKind.REFUND.value:
                refunded += int(row["amount"])
                session_refunds += session_id.lower() in (row["description"] or "").lower()
    except (KeyError, ValueError, TypeError) as exc:
        raise _unreadable(exc) from exc
    return UserStanding(taken=taken, refunded=refunded, session_refunds=session_refunds)


def refund_key(request_id: str) -> str:
    """
    The request id of a b2b refund. Without one the ledger's constraint does not hold.

    Raises:
        StoreRefused: It is empty.
    """
    if not request_id.strip():
        raise StoreRefused("a store's refund without a request id could be given twice")
    return request_id


def _unreadable(exc: Exception) -> StoreRefused:
    return StoreRefused(
        f"a ledger row has unexpected content ({type(exc).__name__})",
        hint="the platform's schema changed: `wearon doctor` names the column",
    )
