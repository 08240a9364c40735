"""
Checks everything that a job needs from Supabase, without changing anything.

Refund functions are called with an amount of 0 for an owner that cannot exist. An existing function
refuses such a call; one that is missing or forbidden to this key answers differently.
"""

import asyncio
from typing import Any, Final

from wearon_cli.adapters.rows import pg_codes
from wearon_cli.adapters.rows.sessions import COLUMNS
from wearon_cli.adapters.supabase.client import Supabase, rows_of
from wearon_cli.adapters.supabase.key_role import KEY_HINT, check_role
from wearon_cli.core.errors import ConfigError, StoreRefused
from wearon_cli.core.operator.checks import Finding, faults
from wearon_cli.core.session import Channel
from wearon_cli.core.settings import Settings

NO_OWNER: Final = "00000000-0000-0000-0000-000000000000"
#: What the worker reads and writes, by table.
TABLES: Final = {
    **{channel.table: COLUMNS[channel] for channel in Channel},
    "credit_transactions": ("user_id", "amount", "type", "description", "created_at"),
    "store_credit_transactions": (
        *("store_id", "amount", "type", "request_id", "description", "created_at"),
    ),
}
_AMOUNT: Final = {"p_amount": 0, "p_description": "check by wearon: nothing is given"}
_STORE: Final = {"p_store_id": NO_OWNER, "p_request_id": "wearon-check", **_AMOUNT}
#: Each function with the arguments it is called with.
FUNCTIONS: Final[dict[str, dict[str, object]]] = {
    "refund_credits": {"p_user_id": NO_OWNER, **_AMOUNT},
    "refund_store_credits": _STORE,
    "refund_store_shopper_credits": {**_STORE, "p_shopper_email": "nobody@invalid"},
}
#: How an existing function answers such a call.
_REFUSED_AS_IT_SHOULD: Final = {
    pg_codes.REFUSED_BY_FUNCTION,
    pg_codes.OWNER_UNKNOWN,
    pg_codes.CHECK_VIOLATED,
}
#: Largest result we store; the bucket must accept it.
LEAST_OBJECT_BYTES: Final = 5 * 1024 * 1024


async def check_store(supabase: Supabase, settings: Settings) -> list[Finding]:
    """
    All checks, in the order to fix them.

    Raises:
        StoreUnavailable: Supabase does not answer.
    """
    role = check_role(settings)
    if not role.ok:
        return [role]  # with the wrong key everything else looks broken too
    looks = [
        *(_check_table(supabase, table, columns) for table, columns in TABLES.items()),
        *(_check_function(supabase, name, args) for name, args in FUNCTIONS.items()),
        _check_bucket(supabase, settings.bucket),
    ]
    return [role, *await asyncio.gather(*looks)]


async def require_store(supabase: Supabase, settings: Settings) -> None:
    """
    Refuse to start with a store that would fail every job.

    Raises:
        ConfigError: Naming each thing that is wrong, and its hint.
        StoreUnavailable: Supabase does not answer.
    """
    wrong = faults(await check_store(supabase, settings))
    if wrong:
        raise ConfigError(
            "; ".join(f"{finding.name}: {finding.detail}" for finding in wrong),
            hint="; ".join(dict.fromkeys(finding.hint for finding in wrong)),
        )


async def _check_table(supabase: Supabase, table: str, columns: tuple[str, ...]) -> Finding:
    name = f"table {table}"
    try:
        await _select(supabase, table, ",".join(columns))
    except StoreRefused as exc:
        if exc.vendor_code != pg_codes.NO_COLUMN:
            return _refusal(name, exc)
        missing = [each for each in columns if not await _has_column(supabase, table, each)]
        return Finding(
            name=name,
            ok=False,
            detail=f"missing columns: {', '.join(missing)}",
            hint="the platform's schema changed: use matching versions of platform and worker",
        )
    return Finding(name=name, ok=True, detail=f"has all {len(columns)} columns used here")


async def _has_column(supabase: Supabase, table: str, column: str) -> bool:
    try:
        await _select(supabase, table, column)
    except StoreRefused as exc:
        if exc.vendor_code != pg_codes.NO_COLUMN:
            raise
        return False
    return True


async def _select(supabase: Supabase, table: str, columns: str) -> None:
    async def look() -> None:
        query = supabase.client.table(table).select(columns).limit(1)
        rows_of(f"select {table}", (await query.execute()).data)

    await supabase.repeatable(f"select {table}", look)


async def _check_function(supabase: Supabase, function: str, args: dict[str, object]) -> Finding:
    name = f"function {function}"

    async def call() -> None:
        await supabase.client.rpc(function, dict(args)).execute()

    try:
        await supabase.once(f"rpc {function}", call)
    except StoreRefused as exc:
        if exc.vendor_code in _REFUSED_AS_IT_SHOULD:
            return Finding(name=name, ok=True, detail="exists and accepts our arguments")
        return _refusal(name, exc)
    return Finding(
        name=name,
        ok=False,
        detail="accepts an unknown owner and the amount 0",
        hint="the platform's function changed: it must reject the amount 0",
    )


async def _check_bucket(supabase: Supabase, bucket: str) -> Finding:
    name = f"bucket {bucket}"

    async def look() -> Any:
        return await supabase.client.storage.get_bucket(bucket)

    try:
        found = await supabase.repeatable("storage bucket", look)
    except StoreRefused as exc:
        return _refusal(name, exc)
    wrong, hint = _bucket_fault(found)
    return Finding(name=name, ok=not wrong, detail=wrong or "exists and is private", hint=hint)


def _bucket_fault(bucket: Any) -> tuple[str, str]:
    """What is wrong with the bucket's own rules, and the hint; empty when all is well."""
    kinds, limit = bucket.allowed_mime_types, bucket.file_size_limit
    if kinds and "image/jpeg" not in kinds:
        return "does not accept image/jpeg", "allow image/jpeg, image/png and image/webp"
    if limit is not None and limit < LEAST_OBJECT_BYTES:
        return f"accepts at most {limit} bytes", "raise its file size limit to 10 MB"
    if bucket.public:
        return "is public: anyone can read shoppers' photos", "make it private"
    return "", ""


def _refusal(name: str, exc: StoreRefused) -> Finding:
    happened = str(exc).partition(": ")[2] or str(exc)
    return Finding(name=name, ok=False, detail=happened, hint=exc.hint or KEY_HINT)
