"""
Every Redis key of this product: name, type and lifetime. No other module defines one.

`python -m scripts.redis_keys` writes the table of docs/redis-keys.md from `KEYS`.
"""

from dataclasses import dataclass
from typing import Final, Literal

from wearon_cli.core.cross_checks import HELD_PICTURE_S, REFUND_LOCK_S

_PREFIX: Final = "wearon:"
_DAY_S: Final = 86_400

# ---------------------------------------------------------------- names

#: Part of the contract with the platform: it LPUSHes payloads, the consumer takes from the right.
TASK_LIST: Final = f"{_PREFIX}tasks:generation"
CONSUMERS: Final = f"{_PREFIX}consumers"
JOBS: Final = f"{_PREFIX}jobs"
DISPATCH: Final = f"{_PREFIX}dispatch"
SIGNAL: Final = f"{_PREFIX}dispatch:signal"
WORKERS: Final = f"{_PREFIX}workers"
REQUESTS: Final = f"{_PREFIX}limit:requests"
PICTURES: Final = f"{_PREFIX}limit:pictures"
BREAKERS: Final = f"{_PREFIX}breakers"
HELD_PICTURES: Final = f"{_PREFIX}held-pictures"
DEAD_LETTERS: Final = f"{_PREFIX}dead-letters"
#: Name of the Celery queue, which is also its key.
CELERY_QUEUE: Final = f"{_PREFIX}celery"

#: Prefixes, for scripts that build a key from an id they find.
INTAKE_PREFIX: Final = f"{_PREFIX}intake:"
_JOB: Final = f"{_PREFIX}job:"
_WORKER: Final = f"{_PREFIX}worker:"
_TIMELINE: Final = f"{_PREFIX}timeline:"
_RECORD: Final = f"{_PREFIX}record:"
_BOOK: Final = f"{_PREFIX}book:"
_FAILURES: Final = f"{_PREFIX}failures:"
_MINUTES: Final = f"{_PREFIX}minutes:"
_HELD_PICTURE: Final = f"{_PREFIX}held-picture:"


def intake(consumer_id: str) -> str:
    """One consumer's own list."""
    return INTAKE_PREFIX + consumer_id


def job(session_id: str) -> str:
    """The journal entry of one job."""
    return _JOB + session_id


def worker(worker_id: str) -> str:
    """The lease of one worker process."""
    return _WORKER + worker_id


def timeline(session_id: str) -> str:
    """What happened to one session."""
    return _TIMELINE + session_id


def record(session_id: str) -> str:
    """What is kept about a session after its timeline has expired."""
    return _RECORD + session_id


def book(day: int | str) -> str:
    """The purchases of one day, counted from 1970-01-01 (UTC)."""
    return f"{_BOOK}{day}"


def failures(day: int | str) -> str:
    """The failed jobs of one day, counted from 1970-01-01 (UTC)."""
    return f"{_FAILURES}{day}"


def minutes(hour: int | str) -> str:
    """Jobs that ended in the minutes of one hour, counted from 1970-01-01 (UTC)."""
    return f"{_MINUTES}{hour}"


def held_picture(session_id: str) -> str:
    """A bought picture that could not be stored yet."""
    return _HELD_PICTURE + session_id


def refund_lock(session_id: str) -> str:
    """Held while a refund for this session is under way."""
    return f"{_PREFIX}refund:{session_id}"


def dead_letter(letter_id: str) -> str:
    """One dead letter."""
    return f"{_PREFIX}dead-letter:{letter_id}"


# ---------------------------------------------------------------- lives

#: Longer than the window that is counted.
LIMIT_LIFE_S: Final = 120
#: Longer than any refund call under the lock can take, its transaction on the server included.
REFUND_LOCK_LIFE_S: Final = REFUND_LOCK_S
#: A breaker that is neither probed nor reset expires.
BREAKER_LIFE_S: Final = _DAY_S
DEAD_LETTER_LIFE_S: Final = 30 * _DAY_S
#: Counted from the newest entry.
TIMELINE_LIFE_S: Final = 7 * _DAY_S
#: A timeline keeps this many of its newest entries.
TIMELINE_ENTRIES: Final = 60
#: Counted from the end of the last job of the session.
RECORD_LIFE_S: Final = 90 * _DAY_S
#: Of purchases and of failures: a year can be compared with the one before it.
BOOK_LIFE_S: Final = 400 * _DAY_S
#: A week can be compared with the day before it.
MINUTES_LIFE_S: Final = 8 * _DAY_S
HELD_PICTURE_LIFE_S: Final = HELD_PICTURE_S

#: What the scripts about jobs call these keys, prefixes and lives.
LUA_NAMES: Final = {
    "TASK_LIST": TASK_LIST,
    "CONSUMERS": CONSUMERS,
    "DEAD_LETTERS": DEAD_LETTERS,
    "JOBS": JOBS,
    "DISPATCH": DISPATCH,
    "SIGNAL": SIGNAL,
    "WORKERS": WORKERS,
    "REQUESTS": REQUESTS,
    "PICTURES": PICTURES,
    "BREAKERS": BREAKERS,
    "HELD_PICTURES": HELD_PICTURES,
    "JOB": _JOB,
    "WORKER": _WORKER,
    "TIMELINE": _TIMELINE,
    "RECORD": _RECORD,
    "BOOK": _BOOK,
    "FAILURES": _FAILURES,
    "MINUTES": _MINUTES,
    "HELD_PICTURE": _HELD_PICTURE,
    "LIMIT_LIFE_S": LIMIT_LIFE_S,
    "BREAKER_LIFE_S": BREAKER_LIFE_S,
    "TIMELINE_LIFE_S": TIMELINE_LIFE_S,
    "TIMELINE_ENTRIES": TIMELINE_ENTRIES,
    "RECORD_LIFE_S": RECORD_LIFE_S,
    "BOOK_LIFE_S": BOOK_LIFE_S,
    "MINUTES_LIFE_S": MINUTES_LIFE_S,
}

# ---------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisKey:
    """
    One key, or all keys of one kind.

    `pattern` has `{...}` in place of an id. `type` is Redis's name of the type. `expires_s` is the
    time to live set at a write, None where none is set. `life` says what else ends it.
    """

    pattern: str
    type: Literal["hash", "list", "string", "zset"]
    expires_s: int | None = None
    life: str
    written_by: str
    holds: str


_CONSUME: Final = "`consume`"
_CELERY: Final = "`celery`"
_BOTH: Final = f"{_CONSUME}, {_CELERY}"

KEYS: Final = (
    RedisKey(
        pattern=TASK_LIST,
        type="list",
        life="until taken",
        written_by="the platform (LPUSH)",
        holds="payloads not yet taken; the oldest is at the right",
    ),
    RedisKey(
        pattern=intake("{consumer}"),
        type="list",
        life="until journalled",
        written_by=_CONSUME,
        holds="the payload this consumer is journalling; returned to the task list when the "
        "consumer is dead",
    ),
    RedisKey(
        pattern=CONSUMERS,
        type="zset",
        life="entry: until three heartbeats are missed",
        written_by=_CONSUME,
        holds="consumers by last heartbeat",
    ),
    RedisKey(
        pattern=JOBS,
        type="zset",
        life="entry: until the job is closed",
        written_by=_BOTH,
        holds="every open job; the score says in which state it is, see below",
    ),
    RedisKey(
        pattern=job("{session_id}"),
        type="hash",
        life="until the job is closed",
        written_by=_BOTH,
        holds="the journal entry, see below",
    ),
    RedisKey(
        pattern=DISPATCH,
        type="hash",
        life="kept, a few numbers; an owner: until its last ready job is released",
        written_by=_BOTH,
        holds="what the release goes by: `round` of the fair order, `next_at` of the pace, `slots` "
        "of all workers, `wanted` by the last release, `gated` while a breaker is open, `worker` "
        "number given last, `owner:{id}` with the last round given to it",
    ),
    RedisKey(
        pattern=SIGNAL,
        type="list",
        life="one element at most, until a consumer takes it",
        written_by=_BOTH,
        holds="a consumer is to look for jobs to release",
    ),
    RedisKey(
        pattern=WORKERS,
        type="hash",
        life="entry: until the worker leaves or its lease has run out",
        written_by=_BOTH,
        holds="registered worker processes: number, slots, host, pid, since",
    ),
    RedisKey(
        pattern=worker("{worker_id}"),
        type="string",
        life="WEARON_LEASE_S after it was renewed",
        written_by=_CELERY,
        holds="the lease of a worker process; all its jobs depend on it",
    ),
    RedisKey(
        pattern=REQUESTS,
        type="string",
        expires_s=LIMIT_LIFE_S,
        life="until it expires",
        written_by=_CELERY,
        holds="times of the newest requests let through, 13 digits of milliseconds each",
    ),
    RedisKey(
        pattern=PICTURES,
        type="string",
        expires_s=LIMIT_LIFE_S,
        life="until it expires",
        written_by=_CELERY,
        holds="times of the newest input pictures let through, 13 digits of milliseconds each",
    ),
    RedisKey(
        pattern=refund_lock("{session_id}"),
        type="string",
        expires_s=REFUND_LOCK_LIFE_S,
        life="until the refund is booked, or the pictures are moved",
        written_by=_CELERY,
        holds="a refund is under way, or `try-on` before its row; under `pictures-ID`: an undo, "
        "the start of a redraw, or forgetting",
    ),
    RedisKey(
        pattern=BREAKERS,
        type="hash",
        expires_s=BREAKER_LIFE_S,
        life="entry: until a call succeeds",
        written_by=_BOTH,
        holds="open circuit breakers by name: reason, since, time of the next probing call and of "
        "the next job released to make one",
    ),
    RedisKey(
        pattern=held_picture("{session_id}"),
        type="string",
        expires_s=HELD_PICTURE_LIFE_S,
        life="until the job is closed",
        written_by=_CELERY,
        holds="a bought picture that is not stored yet: its usage and the number of its purchase, "
        "a line feed, the JPEG",
    ),
    RedisKey(
        pattern=HELD_PICTURES,
        type="zset",
        expires_s=HELD_PICTURE_LIFE_S,
        life="entry: as long as its picture",
        written_by=_CELERY,
        holds="sessions of these pictures by when they expire, for their number",
    ),
    RedisKey(
        pattern=dead_letter("{id}"),
        type="hash",
        expires_s=DEAD_LETTER_LIFE_S,
        life="until replayed or dropped",
        written_by=_BOTH,
        holds="a payload that is not retried by itself: raw bytes, reason, error, attempts, time",
    ),
    RedisKey(
        pattern=DEAD_LETTERS,
        type="zset",
        life="entry: as long as its dead letter",
        written_by=_BOTH,
        holds="ids of dead letters by time",
    ),
    RedisKey(
        pattern=timeline("{session_id}"),
        type="string",
        expires_s=TIMELINE_LIFE_S,
        life=f"newest {TIMELINE_ENTRIES} entries, until it expires after the last one",
        written_by=_BOTH,
        holds="what happened to the session, as JSON lines",
    ),
    RedisKey(
        pattern=record("{session_id}"),
        type="string",
        expires_s=RECORD_LIFE_S,
        life="until it expires after the last job",
        written_by=_CELERY,
        holds="what is kept of a session: JSON with its sums, last failure, the "
        "paid call that it failed by, picture, input paths",
    ),
    RedisKey(
        pattern=book("{day}"),
        type="hash",
        expires_s=BOOK_LIFE_S,
        life="until it expires",
        written_by=_CELERY,
        holds="the book of purchases of a day (days since 1970-01-01): JSON list of merchant store "
        "or `b2c`, provider, model and outcome, with count x 10^12 + cost in micro-USD",
    ),
    RedisKey(
        pattern=failures("{day}"),
        type="hash",
        expires_s=BOOK_LIFE_S,
        life="until it expires",
        written_by=_CELERY,
        holds="how many jobs failed on a day: JSON list of merchant store or `b2c`, class of "
        "error, and provider, model and provider's code of its last paid call, with count",
    ),
    RedisKey(
        pattern=minutes("{hour}"),
        type="hash",
        expires_s=MINUTES_LIFE_S,
        life="until it expires",
        written_by=_CELERY,
        holds="how many jobs ended in each minute of an hour (hours since 1970-01-01): "
        "`MINUTE completed`, and `MINUTE failed CODE` by the code of the error",
    ),
    RedisKey(
        pattern=CELERY_QUEUE,
        type="list",
        life="until taken",
        written_by=_CONSUME,
        holds="Celery messages, each with the id of a released job",
    ),
)

#: Celery's own keys, as glob patterns. None of our code depends on them.
CELERY_KEYS: Final = ("_kombu.*", "*.pidbox*")
