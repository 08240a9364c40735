"""
Finds sessions by pasted text and by filters: for the page and for every command.

The store applies filters of the row. Cause, model and provider are in the sessions' records, so
rows are read in batches, newest first, until a page is full or the limit is reached.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from urllib.parse import unquote, urlsplit

from wearon_cli.core.operator.inspector import BATCH, Inspector, Listed
from wearon_cli.core.session import RowQuery, Session, Status

#: Rows read when a filter needs their records: for one page of `wearon web`, and for a command.
MOST_LOOKED_AT: Final = 2_000
MOST_SEARCHED: Final = 10_000
#: Most sessions whose timelines are searched for a provider's id.
MOST_TIMELINES: Final = 20_000
#: Stores whose domain contains the text.
MOST_STORES: Final = 20
#: Fewest characters that count as the start of a session id.
LEAST_PREFIX: Final = 4

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PREFIX: Final = re.compile(r"[0-9a-f][0-9a-f-]*")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


class Pasted(StrEnum):
    """How a pasted text was interpreted."""

    NOTHING = "nothing"
    SESSION = "a session id"
    PREFIX = "the start of a session id"
    ADDRESS = "an address containing a session id"
    OWNER = "a store or user id"
    REQUEST = "a request id"
    PROVIDER_ID = "an image provider's id"
    SHOPPER = "a shopper's e-mail"
    STORE = "a store's domain"
    UNKNOWN = "nothing known here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to find."""

    text: str = ""  # as pasted
    since: datetime | None = None
    statuses: frozenset[Status] = frozenset()
    owner: str = ""  # id of a store or user, or a shop's domain
    cause: str = ""  # code of the error of failed ones
    model: str = ""
    provider: str = ""
    is_suspect: bool = False  # only those with findings of a check
    before: tuple[datetime, str] | None = None  # `Page.next`: continues there
    limit: int = 50
    most_looked_at: int = MOST_LOOKED_AT  # rows, when a filter needs their records

    @property
    def reads_records(self) -> bool:
        """True when the row alone is not enough."""
        return bool(self.cause or self.model or self.provider or self.is_suspect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What was found, newest first."""

    sessions: Sequence[Listed] = ()
    pasted: Pasted = Pasted.NOTHING
    next: tuple[datetime, str] | None = None  # there may be more from here
    looked_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """An interpreted text: the one session that it names, or how to find rows."""

    pasted: Pasted
    row: Session | None = None
    query: RowQuery | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSearch:
    """
    Finds sessions. Changes nothing.

    Raises `StoreUnavailable`, `StoreRefused` and `QueueUnavailable`.
    """

    inspector: Inspector
    most_timelines: int = field(default=MOST_TIMELINES)

    async def find(self, wanted: Wanted) -> Page:
        """
        One page.

        A text that names one session finds it, whatever the filters say. Any other text, and every
        filter, must hold.

        Raises:
            InputError: The owner is neither an id nor the domain of a store.
        """
        text = _storable(wanted.text.strip())
        reading = await self._read(text) if text else _Reading(pasted=Pasted.NOTHING)
        if reading.row is not None:
            named = await self._listed([reading.row], with_suspicions=wanted.is_suspect)
            return Page(sessions=named, pasted=reading.pasted, looked_at=1)
        if text and reading.query is None:
            return Page(pasted=reading.pasted)
        query = await self._query(wanted, reading.query or RowQuery())
        if query is None:
            return Page(pasted=reading.pasted)
        return replace(await self._page(wanted, query), pasted=reading.pasted)

    async def _query(self, wanted: Wanted, query: RowQuery) -> RowQuery | None:
        """With the filters; None when the text and a filter name different owners."""
        owners = query.owner_ids
        if wanted.owner:
            owner = await self.inspector.owner(_storable(wanted.owner.strip()))
            if owners and owner not in owners:
                return None
            owners = frozenset({owner})
        statuses = frozenset({Status.FAILED}) if wanted.cause else wanted.statuses
        return replace(
            query,
            since=wanted.since,
            before=wanted.before,
            statuses=statuses,
            owner_ids=owners,
        )

    async def _page(self, wanted: Wanted, query: RowQuery) -> Page:
        found: list[Listed] = []
        looked_at = 0
        while True:
            # With nothing else to look for, each row that is read is shown.
            size = BATCH if wanted.reads_records else wanted.limit
            rows = await self.inspector.sessions.newest(query, limit=size)
            looked_at += len(rows)
            listed = await self._listed(rows, with_suspicions=wanted.is_suspect)
            found += [each for each in listed if _fits(wanted, each)]
            whole = len(rows) < size
            if rows:
                query = replace(query, before=(rows[-1].created_at, rows[-1].session_id))
            if len(found) >= wanted.limit or whole or looked_at >= wanted.most_looked_at:
                break
        shown = found[: wanted.limit]
        more = query.before if not whole else None
        if len(found) > wanted.limit:  # continues after the last one shown
            more = (shown[-1].session.created_at, shown[-1].session.session_id)
        return Page(sessions=shown, next=more, looked_at=looked_at)

    async def _listed(
        self, rows: Sequence[Session], *, with_suspicions: bool = False
    ) -> list[Listed]:
        records = await self.inspector.jobs.records([row.session_id for row in rows])
        causes = await self.inspector.error_classes(rows)
        said = await self.inspector.suspicions(rows) if with_suspicions else [()] * len(rows)
        return [
            Listed(session=row, record=record, cause=cause, suspicions=suspicions)
            for row, record, cause, suspicions in zip(rows, records, causes, said, strict=True)
        ]

    async def _read(self, text: str) -> _Reading:
        """Interpret the text, first by its form; ids of other systems last, since they have no
        fixed form.
        """
        plain = text.lower()
        if "://" in text or plain.startswith("/"):
            return await self._by_address(plain)
        if _EMAIL.fullmatch(text):
            return _Reading(pasted=Pasted.SHOPPER, query=RowQuery(shopper_email=plain))
        if _UUID.fullmatch(plain):
            return await self._by_uuid(plain, Pasted.SESSION)
        if _PREFIX.fullmatch(plain) and len(plain) >= LEAST_PREFIX:
            query = RowQuery(id_prefix=plain)
            if await self.inspector.sessions.newest(query, limit=1):
                return _Reading(pasted=Pasted.PREFIX, query=query)
        if _DOMAIN.fullmatch(plain):
            stores = await self.inspector.sessions.stores_named(plain, limit=MOST_STORES)
            if stores:
                return _Reading(pasted=Pasted.STORE, query=RowQuery(owner_ids=frozenset(stores)))
        return await self._by_request(text)

    async def _by_address(self, address: str) -> _Reading:
        """The path of a result ends with the session's id; that of an input has none, or the
        owner's.
        """
        domain, path = _host_and_path(address)
        for found in reversed(_UUID.findall(unquote(path))):
            row = await self.inspector.sessions.find(found)
            if row is not None:
                return _Reading(pasted=Pasted.ADDRESS, row=row)
        stores = await self.inspector.sessions.stores_named(domain, limit=2) if domain else {}
        if stores:
            return _Reading(pasted=Pasted.STORE, query=RowQuery(owner_ids=frozenset(stores)))
        return _Reading(pasted=Pasted.UNKNOWN)

    async def _by_uuid(self, session_id: str, pasted: Pasted) -> _Reading:
        row = await self.inspector.sessions.find(session_id)
        if row is not None:
            return _Reading(pasted=pasted, row=row)
        owned = RowQuery(owner_ids=frozenset({session_id}))
        if await self.inspector.sessions.newest(owned, limit=1):
            return _Reading(pasted=Pasted.OWNER, query=owned)
        return await self._by_request(session_id)

    async def _by_request(self, text: str) -> _Reading:
        query = RowQuery(request_id=text)
        if await self.inspector.sessions.newest(query, limit=1):
            return _Reading(pasted=Pasted.REQUEST, query=query)
        row = await self._with_in_timeline(text)
        if row is not None:
            return _Reading(pasted=Pasted.PROVIDER_ID, row=row)
        stores = await self.inspector.sessions.stores_named(text, limit=MOST_STORES)
        if stores:
            return _Reading(pasted=Pasted.STORE, query=RowQuery(owner_ids=frozenset(stores)))
        return _Reading(pasted=Pasted.UNKNOWN)

    async def _with_in_timeline(self, text: str) -> Session | None:
        """The newest session whose timeline has this id; failed ones are searched first."""
        for statuses in (frozenset({Status.FAILED}), frozenset[Status]()):
            query, looked_at = RowQuery(statuses=statuses), 0
            while looked_at < self.most_timelines:
                rows = await self.inspector.sessions.newest(query, limit=BATCH)
                ids = [row.session_id for row in rows]
                lines = await self.inspector.jobs.timelines(ids)
                for row, timeline in zip(rows, lines, strict=True):
                    if any(_names(line, text) for line in timeline):
                        return row
                looked_at += len(rows)
                if len(rows) < BATCH or not any(lines):  # older timelines have expired
                    break
                query = replace(query, before=(rows[-1].created_at, rows[-1].session_id))
        return None


def _storable(text: str) -> str:
    """With `?` for what no database stores: NUL, and bytes of a command line that are no UTF-8."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def _host_and_path(address: str) -> tuple[str, str]:
    """Of an address that was copied with something around it, all that is there."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "", address
    return parts.hostname or "", parts.path


def _fits(wanted: Wanted, each: Listed) -> bool:
    record = each.record
    return (
        wanted.cause in {"", each.cause}
        and wanted.model in {"", record.model if record else None}
        and wanted.provider in {"", record.provider if record else None}
        and (bool(each.suspicions) or not wanted.is_suspect)
    )


def _names(line: object, text: str) -> bool:
    """True when a member of a timeline event is this id, or contains it as a word."""
    if not isinstance(line, dict):
        return False
    word = re.compile(rf"(?<![\w-]){re.escape(text)}(?![\w-])")
    return any(isinstance(value, str) and word.search(value) for value in line.values())
