"""Session rows in Supabase."""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from wearon_cli.adapters.rows.sessions import (
    expected_statuses,
    insert_values,
    session_from_row,
    update_values,
)
from wearon_cli.adapters.supabase.client import Supabase, rows_of
from wearon_cli.core.errors import StoreUnavailable
from wearon_cli.core.session import (
    OPEN,
    Channel,
    NewSession,
    RowQuery,
    Session,
    SessionKey,
    SessionMove,
    Status,
)

#: The column whose value is unique to an attempt: an address signed for it. The row also has the
#: time when the attempt ended, to the microsecond.
WITNESS: Final = "generated_image_url"
#: The cost column keeps this many decimals; ours may have more.
COST_STEP_USD: Final = 1e-6
#: Rows requested at once: hosted Supabase returns no more in one answer.
PAGE_ROWS: Final = 1000
#: Characters with a meaning in a pattern.
_PATTERN_CHARS: Final = re.compile(r"[%_\\]")


class SupabaseSessions:
    """Implements `Sessions`."""

    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def get(self, key: SessionKey) -> Session | None:
        """See `Sessions.get`."""
        found = await self._select(key.channel, lambda q: q.eq("id", key.session_id).limit(1))
        return found[0] if found else None

    async def find(self, session_id: str) -> Session | None:
        """See `Sessions.find`."""
        for channel in Channel:
            row = await self.get(SessionKey(channel=channel, session_id=session_id))
            if row is not None:
                return row
        return None

    async def apply(self, key: SessionKey, move: SessionMove) -> Session | None:
        """See `Sessions.apply`, and `_read_back` for lost answers."""
        what = f"update {key.channel.table}"
        query = (
            self._supabase.client.table(key.channel.table)
            .update(update_values(move))
            .eq("id", key.session_id)
            .in_("status", expected_statuses(key.channel, move))
        )

        async def swap() -> list[dict[str, Any]]:
            return rows_of(what, (await query.execute()).data)

        try:
            rows = await self._supabase.once(what, swap)
        except StoreUnavailable as exc:
            if exc.unsent:
                raise
            return await self._read_back(key, move, exc)
        return session_from_row(key.channel, rows[0]) if rows else None

    async def _read_back(
        self, key: SessionKey, move: SessionMove, lost: StoreUnavailable
    ) -> Session | None:
        """
        The outcome of a swap whose answer was lost.

        - The row has the value unique to us and everything else we wrote: we won.
        - Its status is neither the one we started from nor the one we wrote, or it has another
          attempt's unique value: lost for good, since a swap still in flight no longer finds the
          status it expects.
        - Otherwise it is unknown: it may still happen, or another attempt wrote the same (`start`
          and `requeue` write nothing unique, `fail` only a sentence). Then the journal decides: the
          holder of the job's lease finds the row processing, or failed with its own intent, and
          continues from there.
        """
        row = await self.get(key)
        signed = move.writes.get(WITNESS) is not None
        if row is not None and row.status is move.to and signed:
            return row if _holds(row, move) else None
        if row is None or row.status not in {*move.expected, move.to}:
            return None
        raise StoreUnavailable(
            f"the move to {move.to.value} may or may not have happened",
            hint="nothing to do: the job continues",
        ) from lost

    async def insert(self, new: NewSession) -> Session:
        """See `Sessions.insert`. The id is ours, so a lost answer can be read back."""
        what = f"insert {new.channel.table}"
        query = self._supabase.client.table(new.channel.table).insert(insert_values(new))

        async def add() -> list[dict[str, Any]]:
            rows = rows_of(what, (await query.execute()).data)
            if not rows:
                raise StoreUnavailable(f"{what}: the answer contains no row")
            return rows

        try:
            rows = await self._supabase.once(what, add)
        except StoreUnavailable as exc:
            key = SessionKey(channel=new.channel, session_id=new.session_id)
            row = None if exc.unsent else await self.get(key)
            if row is None:
                raise
            return row
        return session_from_row(new.channel, rows[0])

    async def open_before(self, time: datetime, *, limit: int) -> Sequence[Session]:
        """See `Sessions.open_before`: oldest first."""
        found = [
            row
            for channel in Channel
            for row in await self._select(
                channel,
                lambda q: (
                    q.in_("status", sorted(status.value for status in OPEN))
                    .lt("created_at", time.isoformat())
                    .order("created_at")
                    .order("id")
                    .limit(limit)
                ),
            )
        ]
        return sorted(found, key=_time_and_id)[:limit]

    async def since(self, time: datetime, *, limit: int) -> Sequence[Session]:
        """See `Sessions.since`."""
        return await self.newest(RowQuery(since=time), limit=limit)

    async def newest(self, query: RowQuery, *, limit: int) -> Sequence[Session]:
        """See `Sessions.newest`. Read in pages: one answer has a thousand rows at most."""
        pages = (self._newest(channel, query, limit=limit) for channel in query.channels)
        found = [row for page in await asyncio.gather(*pages) for row in page]
        return sorted(found, key=_time_and_id, reverse=True)[:limit]

    async def _newest(self, channel: Channel, query: RowQuery, *, limit: int) -> list[Session]:
        found: list[Session] = []
        while len(found) < limit:
            first, last = len(found), min(limit, len(found) + PAGE_ROWS) - 1
            page = await self._select(channel, partial(_newest_page, channel, query, first, last))
            found += page
            if len(page) <= last - first:
                break
        return found

    async def store_domains(self, store_ids: Collection[str]) -> Mapping[str, str]:
        """See `Sessions.store_domains`."""
        if not store_ids:
            return {}
        return await self._stores(lambda q: q.in_("id", sorted(store_ids)))

    async def stores_named(self, text: str, *, limit: int) -> Mapping[str, str]:
        """See `Sessions.stores_named`."""
        pattern = f"*{_as_pattern(text)}*"
        return await self._stores(
            lambda q: q.ilike("shop_domain", pattern).order("shop_domain").limit(limit)
        )

    async def _stores(self, narrow: Any) -> dict[str, str]:
        async def look() -> list[dict[str, Any]]:
            query = narrow(self._supabase.client.table("stores").select("id,shop_domain"))
            return rows_of("select stores", (await query.execute()).data)

        rows = await self._supabase.repeatable("select stores", look)
        return {str(row["id"]): str(row["shop_domain"]) for row in rows}

    async def with_request_id(self, store_id: str, request_id: str) -> Sequence[Session]:
        """See `Sessions.with_request_id`."""
        return await self._select(
            Channel.B2B,
            lambda q: (
                q.eq("store_id", store_id)
                .eq("request_id", request_id)
                .order("created_at")
                .order("id")
            ),
        )

    async def _select(self, channel: Channel, narrow: Any) -> list[Session]:
        """Rows of one table; `narrow` adds the filters to a select of everything."""
        what = f"select {channel.table}"

        async def look() -> list[dict[str, Any]]:
            query = narrow(self._supabase.client.table(channel.table).select("*"))
            return rows_of(what, (await query.execute()).data)

        rows = await self._supabase.repeatable(what, look)
        return [session_from_row(channel, row) for row in rows]


def _newest_page(channel: Channel, wanted: RowQuery, first: int, last: int, query: Any) -> Any:
    narrowed = _narrowed(channel, wanted, query)
    return narrowed.order("created_at", desc=True).order("id", desc=True).range(first, last)


def _narrowed(channel: Channel, wanted: RowQuery, query: Any) -> Any:
    """The query with its conditions."""
    if wanted.since is not None:
        query = query.gte("created_at", wanted.since.isoformat())
    if wanted.before is not None:
        at, session_id = f'"{wanted.before[0].isoformat()}"', wanted.before[1]
        query = query.or_(f"created_at.lt.{at},and(created_at.eq.{at},id.lt.{session_id})")
    if wanted.statuses:
        unknown = {Status.PENDING} if channel is Channel.B2B else set()
        query = query.in_("status", sorted(each.value for each in wanted.statuses - unknown))
    if wanted.owner_ids:
        query = query.in_(channel.owner_column, sorted(wanted.owner_ids))
    if wanted.id_range is not None:
        query = query.gte("id", wanted.id_range[0]).lte("id", wanted.id_range[1])
    if wanted.request_id is not None:
        query = query.eq("request_id", wanted.request_id)
    if wanted.shopper_email is not None:
        query = query.ilike("shopper_email", _as_pattern(wanted.shopper_email))
    return query


def _as_pattern(text: str) -> str:
    """A pattern that this text matches. PostgREST turns each `*` into `%` and has no escape."""
    return _PATTERN_CHARS.sub(r"\\\g<0>", text).replace("*", "_")


def _time_and_id(row: Session) -> tuple[datetime, str]:
    return row.created_at, row.session_id


def _holds(row: Session, move: SessionMove) -> bool:
    """True when the row has everything that the move wrote."""
    return all(_same(getattr(row, column), ours) for column, ours in move.writes.items())


def _same(found: Any, ours: Any) -> bool:
    if isinstance(found, datetime) and isinstance(ours, str):
        return found == datetime.fromisoformat(ours)
    if isinstance(found, float) and isinstance(ours, int | float):
        return abs(found - ours) <= COST_STEP_USD
    return bool(found == ours)
