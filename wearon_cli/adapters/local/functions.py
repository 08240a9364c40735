"""
The platform's credit functions, over SQLite: each moves one credit and writes its ledger row.

They answer as the platform's do, errors included (contract tests run the same cases over both): the
ledger's constraint makes a store's refund exactly-once; a user's refund has no such constraint.
Each runs inside the caller's transaction, so a refusal leaves nothing behind.
"""

import sqlite3

from wearon_cli.adapters.local.db import time_text
from wearon_cli.adapters.rows import pg_codes
from wearon_cli.core.errors import StoreRefused
from wearon_cli.core.session import utc_now


def deduct_credits(db: sqlite3.Connection, user_id: str, description: str) -> bool:
    """Take a user's credit. False: there is none, or no such user."""
    if not _take(db, "user_credits", "user_id = ?", (user_id,)):
        return False
    _write_user(db, user_id, -1, "generation", description)
    return True


def refund_credits(db: sqlite3.Connection, user_id: str, description: str) -> None:
    """Give a user a credit back, every time it is called."""
    _write_user(db, user_id, +1, "refund", description)
    db.execute(
        "INSERT INTO user_credits (user_id, balance) VALUES (?, 1) "
        "ON CONFLICT (user_id) DO UPDATE SET balance = balance + 1",
        (user_id,),
    )


def deduct_store_credits(
    db: sqlite3.Connection, store_id: str, request_id: str | None, description: str
) -> bool:
    """Take a store's credit (absorb mode). False: there is none, or no such store."""
    if not _take(db, "store_credits", "store_id = ?", (store_id,)):
        return False
    _write_store(db, store_id, -1, "deduction", request_id, description)
    return True


def refund_store_credits(
    db: sqlite3.Connection, store_id: str, request_id: str | None, description: str
) -> None:
    """Give a store its credit back, once for a request id."""
    _write_store(db, store_id, +1, "refund", request_id, description)
    db.execute(
        "INSERT INTO store_credits (store_id, balance) VALUES (?, 1) "
        "ON CONFLICT (store_id) DO UPDATE SET balance = balance + 1",
        (store_id,),
    )


def deduct_store_shopper_credits(
    db: sqlite3.Connection, store_id: str, email: str, request_id: str | None, description: str
) -> bool:
    """Take the credit of a store's shopper (resell mode). False: there is none."""
    shopper = _mail(email)
    where = "store_id = ? AND shopper_email = ?"
    if not _take(db, "store_shopper_credits", where, (store_id, shopper)):
        return False
    text = f"{description} (shopper={shopper})"
    _write_store(db, store_id, -1, "deduction", request_id, text)
    return True


def refund_store_shopper_credits(
    db: sqlite3.Connection, store_id: str, email: str, request_id: str | None, description: str
) -> None:
    """Give a store's shopper the credit back, once for a request id."""
    given = db.execute(
        "UPDATE store_shopper_credits SET balance = balance + 1 "
        "WHERE store_id = ? AND shopper_email = ?",
        (store_id, _mail(email)),
    )
    if not given.rowcount:
        raise _refused("this store has no such shopper")
    note = f"{description} (shopper={_mail(email)})"
    _write_store(db, store_id, +1, "refund", request_id, note)


def open_user(db: sqlite3.Connection, user_id: str, credits: int) -> None:
    """A new user with a signup bonus; one that exists is left alone."""
    if _is_new(db, "INSERT INTO users (id) VALUES (?) ON CONFLICT (id) DO NOTHING", user_id):
        db.execute(
            "INSERT INTO user_credits (user_id, balance, total_earned) VALUES (?, ?, ?)",
            (user_id, credits, credits),
        )
        _write_user(db, user_id, credits, "signup_bonus", "Welcome")


def open_store(
    db: sqlite3.Connection, store_id: str, domain: str, credits: int, billing_mode: str
) -> None:
    """A new store with bought credits; one that exists is left alone."""
    sql = (
        "INSERT INTO stores (id, shop_domain, billing_mode) VALUES (?, ?, ?) "
        "ON CONFLICT (id) DO NOTHING"
    )
    if _is_new(db, sql, store_id, domain, billing_mode):
        db.execute(
            "INSERT INTO store_credits (store_id, balance, total_purchased) VALUES (?, ?, ?)",
            (store_id, credits, credits),
        )
        _write_store(db, store_id, credits, "purchase", None, "Credits bought")


def open_shopper(db: sqlite3.Connection, store_id: str, email: str, credits: int) -> None:
    """A new shopper of a store with bought credits; one that exists is left alone."""
    db.execute(
        "INSERT INTO store_shopper_credits (store_id, shopper_email, balance, total_purchased) "
        "VALUES (?, ?, ?, ?) ON CONFLICT (store_id, shopper_email) DO NOTHING",
        (store_id, _mail(email), credits, credits),
    )


def record_overage(db: sqlite3.Connection, store_id: str, request_id: str) -> None:
    """A try-on charged outside the credits: a ledger row and no credit."""
    _write_store(db, store_id, 0, "overage", request_id, "Charged outside the credits")


def _is_new(db: sqlite3.Connection, insert: str, *values: str) -> bool:
    return bool(db.execute(insert, values).rowcount)


def _take(db: sqlite3.Connection, table: str, where: str, owner: tuple[str, ...]) -> bool:
    taken = db.execute(
        f"UPDATE {table} SET balance = balance - 1, total_spent = total_spent + 1 "  # noqa: S608 - both are ours
        f"WHERE {where} AND balance >= 1",
        owner,
    )
    return bool(taken.rowcount)


def _write_user(
    db: sqlite3.Connection, user_id: str, amount: int, kind: str, description: str
) -> None:
    db.execute(
        "INSERT INTO credit_transactions (user_id, amount, type, description, created_at) "
        "VALUES (?, ?, ?, ?, ?)",
        (user_id, amount, kind, description, time_text(utc_now())),
    )


def _write_store(
    db: sqlite3.Connection,
    store_id: str,
    amount: int,
    kind: str,
    request_id: str | None,
    description: str,
) -> None:
    db.execute(
        "INSERT INTO store_credit_transactions "
        "(store_id, amount, type, request_id, description, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (store_id, amount, kind, request_id, description, time_text(utc_now())),
    )


def _mail(email: str) -> str:
    return email.strip().lower()


def _refused(detail: str) -> StoreRefused:
    return StoreRefused(detail, vendor_code=pg_codes.REFUSED_BY_FUNCTION)
