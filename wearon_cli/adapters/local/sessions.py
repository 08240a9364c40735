"""Session rows in the local stack's SQLite file."""

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from wearon_cli.adapters.local.db import LocalDatabase, time_text, uuid_text
from wearon_cli.adapters.rows import pg_codes
from wearon_cli.adapters.rows.sessions import (
    COLUMNS,
    expected_statuses,
    insert_values,
    session_from_row,
    update_values,
)
from wearon_cli.core.errors import StoreRefused
from wearon_cli.core.session import (
    OPEN,
    Channel,
    NewSession,
    RowQuery,
    Session,
    SessionKey,
    SessionMove,
    utc_now,
)


class LocalSessions:
    """Implements `Sessions`."""

    def __init__(self, db_path: Path) -> None:
        self._db = LocalDatabase(db_path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    async def get(self, key: SessionKey) -> Session | None:
        """See `Sessions.get`."""
        found = await self._select(key.channel, "id = ?", (uuid_text(key.session_id),))
        return found[0] if found else None

    async def find(self, session_id: str) -> Session | None:
        """See `Sessions.find`."""
        for channel in Channel:
            row = await self.get(SessionKey(channel=channel, session_id=session_id))
            if row is not None:
                return row
        return None

    async def apply(self, key: SessionKey, move: SessionMove) -> Session | None:
        """See `Sessions.apply`. Never ambiguous: a transaction either happened or it did not."""
        values = _checked(key.channel, update_values(move))
        expected = expected_statuses(key.channel, move)
        sql = (
            f"UPDATE {key.channel.table} SET {', '.join(f'{name} = ?' for name in values)} "  # noqa: S608 - names are checked against COLUMNS
            f"WHERE id = ? AND status IN ({_marks(expected)}) RETURNING *"
        )
        args = (*values.values(), uuid_text(key.session_id), *expected)

        def swap(connection: sqlite3.Connection) -> list[sqlite3.Row]:
            return connection.execute(sql, args).fetchall()

        rows = await self._db.write(swap)
        return _session(key.channel, rows[0]) if rows else None

    async def insert(self, new: NewSession) -> Session:
        """See `Sessions.insert`."""
        values = _checked(new.channel, insert_values(new))
        values["id"] = uuid_text(new.session_id)
        values[new.channel.owner_column] = uuid_text(new.owner_id)
        values["created_at"] = time_text(utc_now())
        sql = (
            f"INSERT INTO {new.channel.table} ({', '.join(values)}) "  # noqa: S608 - names are checked against COLUMNS
            f"VALUES ({_marks(values)}) RETURNING *"
        )

        def add(connection: sqlite3.Connection) -> list[sqlite3.Row]:
            return connection.execute(sql, tuple(values.values())).fetchall()

        return _session(new.channel, (await self._db.write(add))[0])

    async def open_before(self, time: datetime, *, limit: int) -> Sequence[Session]:
        """See `Sessions.open_before`: oldest first."""
        where = f"status IN ({_marks(OPEN)}) AND created_at < ? ORDER BY created_at, id LIMIT ?"
        args = (*(status.value for status in OPEN), time_text(time), limit)
        found = [row for channel in Channel for row in await self._select(channel, where, args)]
        return sorted(found, key=_time_and_id)[:limit]

    async def since(self, time: datetime, *, limit: int) -> Sequence[Session]:
        """See `Sessions.since`."""
        return await self.newest(RowQuery(since=time), limit=limit)

    async def newest(self, query: RowQuery, *, limit: int) -> Sequence[Session]:
        """See `Sessions.newest`."""
        found = [
            row for channel in query.channels for row in await self._newest(channel, query, limit)
        ]
        return sorted(found, key=_time_and_id, reverse=True)[:limit]

    async def _newest(self, channel: Channel, query: RowQuery, limit: int) -> list[Session]:
        terms = list(_terms(channel, query))
        where = " AND ".join(term for term, _ in terms) or "TRUE"
        args = [value for _, values in terms for value in values]
        order = "ORDER BY created_at DESC, id DESC LIMIT ?"
        return await self._select(channel, f"{where} {order}", (*args, limit))

    async def store_domains(self, store_ids: Collection[str]) -> Mapping[str, str]:
        """See `Sessions.store_domains`."""
        ids = [uuid_text(each) for each in store_ids]
        return await self._stores(f"id IN ({_marks(ids)})", tuple(ids))

    async def stores_named(self, text: str, *, limit: int) -> Mapping[str, str]:
        """See `Sessions.stores_named`."""
        where = "instr(shop_domain, ?) > 0 ORDER BY shop_domain LIMIT ?"
        return await self._stores(where, (text.lower(), limit))

    async def _stores(self, where: str, args: tuple[Any, ...]) -> dict[str, str]:
        sql = f"SELECT id, shop_domain FROM stores WHERE {where}"  # noqa: S608 - ours

        def look(connection: sqlite3.Connection) -> list[sqlite3.Row]:
            return connection.execute(sql, args).fetchall()

        return {row["id"]: row["shop_domain"] for row in await self._db.read(look)}

    async def with_request_id(self, store_id: str, request_id: str) -> Sequence[Session]:
        """See `Sessions.with_request_id`."""
        where = "store_id = ? AND request_id = ? ORDER BY created_at, id"
        return await self._select(Channel.B2B, where, (uuid_text(store_id), request_id))

    async def _select(self, channel: Channel, where: str, args: tuple[Any, ...]) -> list[Session]:
        sql = f"SELECT * FROM {channel.table} WHERE {where}"  # noqa: S608 - both are ours

        def look(connection: sqlite3.Connection) -> list[sqlite3.Row]:
            return connection.execute(sql, args).fetchall()

        return [_session(channel, row) for row in await self._db.read(look)]


def _terms(channel: Channel, query: RowQuery) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Conditions of SQL with their values."""
    if query.since is not None:
        yield "created_at >= ?", (time_text(query.since),)
    if query.before is not None:
        at, session_id = query.before
        yield "(created_at, id) < (?, ?)", (time_text(at), uuid_text(session_id))
    if query.statuses:
        statuses = sorted(status.value for status in query.statuses)
        yield f"status IN ({_marks(statuses)})", tuple(statuses)
    if query.owner_ids:
        owners = tuple(uuid_text(each) for each in sorted(query.owner_ids))
        yield f"{channel.owner_column} IN ({_marks(owners)})", owners
    if query.id_range is not None:
        yield "id BETWEEN ? AND ?", query.id_range
    if query.request_id is not None:
        yield "request_id = ?", (query.request_id,)
    if query.shopper_email is not None:
        yield "lower(shopper_email) = ?", (query.shopper_email,)


def _time_and_id(row: Session) -> tuple[datetime, str]:
    return row.created_at, row.session_id


def _session(channel: Channel, row: sqlite3.Row) -> Session:
    values = dict(row)
    if values.get("accessories"):
        values["accessories"] = json.loads(values["accessories"])
    return session_from_row(channel, values)


def _checked(channel: Channel, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values in the form that SQLite takes. Their names go into SQL, so each must be a known
    column.
    """
    unknown = [name for name in values if name not in COLUMNS[channel]]
    if unknown:
        raise StoreRefused(
            f"{channel.table} has no column {unknown[0]}", vendor_code=pg_codes.NO_COLUMN_TO_WRITE
        )
    return {
        name: json.dumps(value) if isinstance(value, list | dict) else value
        for name, value in values.items()
    }


def _marks(values: Any) -> str:
    return ", ".join("?" * len(values))
