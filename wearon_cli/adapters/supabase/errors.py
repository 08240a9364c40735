"""
Maps what Supabase, and any proxy in front of it, can answer to our error tree.

Messages are our own: a vendor's text can contain a whole row, an e-mail or an address. For the same
reason the vendor's exception is emptied before it is chained.
"""

from dataclasses import dataclass
from typing import Final

import httpx
from postgrest.exceptions import APIError
from storage3.exceptions import StorageApiError

from wearon_cli.adapters.rows import pg_codes
from wearon_cli.core.errors import ObjectNotFound, StoreRefused, StoreUnavailable, UpstreamError

#: Everything that a call may raise and that is translated here. The last three come from the
#: storage client when the answer is not what it expects (usually a proxy's page).
VENDOR_ERRORS: Final = (
    APIError,
    StorageApiError,
    httpx.HTTPError,
    httpx.InvalidURL,
    ValueError,
    KeyError,
    TypeError,
)

#: The request never left: no connection, or none free.
_UNSENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)

#: PostgREST: the key's signature or claims are invalid.
_BAD_KEY: Final = frozenset({"PGRST300", "PGRST301", "PGRST302", "PGRST303", "401"})
#: PostgREST: no connection to the database, no schema yet, no free connection.
_REST_AWAY: Final = ("PGRST000", "PGRST001", "PGRST002", "PGRST003")
#: PostgreSQL classes 08, 40, 53, 57, 58: connection, rollback, resources, operator, system.
#: 25006: the hosted database is read-only while its disk is full.
_DATABASE_AWAY: Final = ("08", "40", "53", "57", "58", "25006")

#: HTTP: request timeout, too early, too many requests.
_TRY_LATER: Final = frozenset({408, 425, 429})

_KEY_HINT: Final = "check SUPABASE_SERVICE_ROLE_KEY: it must be this project's service role key"
_URL_HINT: Final = "check SUPABASE_URL: the project's address, without a path"
_AWAY_HINT: Final = "check SUPABASE_URL, the network, and the status of Supabase"

#: Refusals whose cause is known: (what happened, hint). `{what}` is the call.
_REFUSALS: Final = {
    pg_codes.NO_FUNCTION: (
        "{what}: no function with this name and these arguments",
        "the platform's migration for it is missing or changed",
    ),
    pg_codes.NO_COLUMN_TO_WRITE: (
        "{what}: a column to be written does not exist",
        "the platform's schema changed: `wearon doctor` names the column",
    ),
    pg_codes.NO_COLUMN: (
        "{what}: a column to be read does not exist",
        "the platform's schema changed: `wearon doctor` names the column",
    ),
    pg_codes.NO_TABLE: ("{what}: there is no such table", "the platform's migration is missing"),
    pg_codes.NO_TABLE_IN_CACHE: (
        "{what}: there is no such table",
        "the platform's migration is missing, or PostgREST must reload its schema cache",
    ),
    pg_codes.NO_PERMISSION: ("{what}: this key has no permission", _KEY_HINT),
}


@dataclass(slots=True)
class LastAnswer:
    """What the HTTP layer saw of a call's last answer; the clients' exceptions do not contain
    it.
    """

    status: int | None = None
    content_type: str = ""

    @property
    def is_page(self) -> bool:
        """True for HTML: Supabase never sends any, so a proxy answered."""
        return self.content_type.startswith("text/html")


def translated(what: str, exc: Exception, answer: LastAnswer) -> UpstreamError:
    """
    Our error for a vendor's.

    Args:
        what: The call, as "update generation_sessions".
        exc: One of `VENDOR_ERRORS`.
        answer: What the HTTP layer saw.
    """
    if isinstance(exc, _UNSENT):
        return StoreUnavailable(f"{what}: no connection to Supabase", hint=_AWAY_HINT, unsent=True)
    if isinstance(exc, APIError):
        return _rest_error(what, exc.code or "", answer.status or 0)
    if isinstance(exc, StorageApiError):
        return _storage_error(what, exc)
    if isinstance(exc, httpx.HTTPError):
        return StoreUnavailable(f"{what}: the connection was lost", hint=_AWAY_HINT)
    return not_supabase(what)


def not_supabase(what: str) -> StoreUnavailable:
    """The error for an answer that cannot be Supabase's, whatever its status."""
    return StoreUnavailable(f"{what}: the answer is not from Supabase", hint=_AWAY_HINT)


def scrubbed[E: Exception](exc: E) -> E:
    """The exception without anything the vendor wrote, so that a traceback of it can be logged."""
    exc.__cause__ = exc.__context__ = None
    exc.args = ()
    if isinstance(exc, APIError):
        exc.args = (exc.code or "",)
        exc.message = exc.hint = exc.details = None
        exc._raw_error = {}
    elif isinstance(exc, StorageApiError):
        exc.args = (str(exc.status),)
        exc.message = ""
    return exc


def _rest_error(what: str, code: str, status: int) -> UpstreamError:
    if _is_away(code, status):
        return StoreUnavailable(f"{what}: Supabase is unavailable", hint=_AWAY_HINT)
    if code in _BAD_KEY:
        return StoreRefused(f"{what}: Supabase rejects the key", hint=_KEY_HINT, vendor_code=code)
    if code in _REFUSALS:
        happened, hint = _REFUSALS[code]
        return StoreRefused(happened.format(what=what), hint=hint, vendor_code=code)
    if status in {401, 403}:
        return StoreRefused(
            f"{what}: Supabase rejects the key", hint=_KEY_HINT, vendor_code=code or str(status)
        )
    if not _is_postgres(code) and not code.startswith("PGRST"):
        # Not PostgREST's own answer: a gateway without such a route, or a redirect.
        return StoreRefused(
            f"{what}: this is not the Supabase API (status {status})",
            hint=_URL_HINT,
            vendor_code=code,
        )
    return StoreRefused(f"{what}: refused ({code})", vendor_code=code)


def _is_away(code: str, status: int) -> bool:
    away = code.startswith(_REST_AWAY) or (_is_postgres(code) and code.startswith(_DATABASE_AWAY))
    return away or status >= 500 or status in _TRY_LATER


def _is_postgres(code: str) -> bool:
    """PostgreSQL's codes have five characters; HTTP statuses come in the same field."""
    return len(code) == 5


def _storage_error(what: str, exc: StorageApiError) -> UpstreamError:
    status = str(exc.status)
    text = f"{exc.code} {exc.message}".lower()
    if status.startswith("5") or status in map(str, _TRY_LATER):
        return StoreUnavailable(f"{what}: storage is unavailable", hint=_AWAY_HINT)
    if status == "404" and "bucket" in text:
        return StoreRefused(
            f"{what}: there is no such bucket",
            hint="create the private bucket, or set WEARON_BUCKET to another one",
            vendor_code=status,
        )
    if status == "404":
        return ObjectNotFound(vendor_code=status)
    if status in {"401", "403"}:
        return StoreRefused(f"{what}: storage rejects the key", hint=_KEY_HINT, vendor_code=status)
    return StoreRefused(f"{what}: storage refused ({status})", vendor_code=status)
