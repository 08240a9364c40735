"""
The SQLite file of the local stack, shared by all its processes.

Write-ahead log, one writer at a time, foreign keys on. Every piece of work is one transaction, run
on a worker thread so that the event loop never waits for the disk.
"""

import asyncio
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final
from uuid import UUID

from wearon_cli.adapters.rows import pg_codes
from wearon_cli.core.errors import StoreRefused, StoreUnavailable

#: Written into the file; another number means a file of another version of this product.
SCHEMA_VERSION: Final = 1
#: How long a transaction waits for one in another process. Each lasts a millisecond or two.
BUSY_TIMEOUT_S: Final = 10.0
BUSY_PAUSE_S: Final = 0.02

#: SQLite's names for constraint violations, mapped to the codes of the platform's database.
_CODES: Final = {
    "SQLITE_CONSTRAINT_CHECK": pg_codes.CHECK_VIOLATED,
    "SQLITE_CONSTRAINT_FOREIGNKEY": pg_codes.OWNER_UNKNOWN,
    "SQLITE_CONSTRAINT_UNIQUE": pg_codes.DUPLICATE,
    "SQLITE_CONSTRAINT_PRIMARYKEY": pg_codes.DUPLICATE,
    "SQLITE_CONSTRAINT_NOTNULL": pg_codes.VALUE_MISSING,
}


class LocalDatabase:
    """One connection to the file. Safe to share between tasks and threads; opened on first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Waiters queue in the event loop, not on threads. The thread lock is needed too: a
        # cancelled task releases the first one while its thread still runs.
        self._turn = asyncio.Lock()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    async def read[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a read transaction: it sees a consistent state of the file."""
        async with self._turn:
            return await asyncio.to_thread(self._run, "BEGIN", work)

    async def write[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """
        Run `work` in an exclusive write transaction: all of it happens, or none.

        Raises:
            StoreRefused: It violates a constraint; `vendor_code` is PostgreSQL's code for it.
            StoreUnavailable: The file cannot be read or written now.
        """
        async with self._turn:
            return await asyncio.to_thread(self._run, "BEGIN IMMEDIATE", work)

    def close(self) -> None:
        """Close the file. The next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _run[T](self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock, _sqlite_errors():
            connection = self._opened()
            connection.execute(begin)
            try:
                result = work(connection)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            return result

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connect(self._path)
            weakref.finalize(self, self._connection.close)
        return self._connection


def uuid_text(value: str) -> str:
    """
    A uuid as PostgreSQL writes it.

    Raises:
        StoreRefused: It is not a uuid.
    """
    try:
        return str(UUID(value))
    except ValueError as exc:
        raise StoreRefused("this id is not a uuid", vendor_code=pg_codes.NOT_A_VALUE) from exc


def time_text(at: datetime) -> str:
    """A time in this file's format."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        _switch_to_wal(connection)
        # With the write-ahead log this survives the death of any process; only a power cut can
        # take the last transactions, never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        _ensure_schema(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """
    Switching the journal mode does not wait for other connections as transactions do, so it is
    retried.
    """
    give_up = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(BUSY_PAUSE_S)
        else:
            return


def _ensure_schema(connection: sqlite3.Connection) -> None:
    if _version(connection) == SCHEMA_VERSION:
        return
    schema = files(__package__).joinpath("schema.sql").read_text("utf-8")
    connection.execute("BEGIN IMMEDIATE")
    found = _version(connection)  # again: another process may have been first
    if found == 0:
        for statement in schema.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
    if found not in {0, SCHEMA_VERSION}:
        raise StoreRefused(
            f"the local database has version {found}; this release needs {SCHEMA_VERSION}",
            hint="use another data folder, or remove this one",
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def _sqlite_errors() -> Iterator[None]:
    """Translate SQLite's errors into our error tree, with the platform's codes."""
    try:
        yield
    except sqlite3.IntegrityError as exc:
        code = _CODES.get(exc.sqlite_errorname, "")
        raise StoreRefused(
            f"the local store refused the change ({code or exc.sqlite_errorname})",
            vendor_code=code,
        ) from exc
    except (sqlite3.Error, OSError) as exc:
        raise StoreUnavailable(
            "the local database cannot be opened",
            hint="check that the data folder is writable and the disk is not full",
        ) from exc
