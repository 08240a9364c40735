"""
Every key of this product in Redis: its name, type and life. No other module defines one.

`python -m scripts.redis_keys` writes the table of docs/redis-keys.md from `KEYS`.
"""

from dataclasses import dataclass
from typing import Final, Literal

_PREFIX: Final = "wearon:"
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400

# ---------------------------------------------------------------- names

#: Part of the contract with the platform: it LPUSHes payloads, the consumer takes from the right.
TASK_LIST: Final = f"{_PREFIX}tasks:generation"
CONSUMERS: Final = f"{_PREFIX}consumers"
READY: Final = f"{_PREFIX}jobs:ready"
WAKE: Final = f"{_PREFIX}jobs:wake"
OWNERS: Final = f"{_PREFIX}jobs:owners"
CLOCK: Final = f"{_PREFIX}jobs:clock"
PACE: Final = f"{_PREFIX}jobs:pace"
REQUESTS: Final = f"{_PREFIX}limit:requests"
PICTURES: Final = f"{_PREFIX}limit:pictures"
BREAKER: Final = f"{_PREFIX}breaker"
DEAD_LETTERS: Final = f"{_PREFIX}dead-letters"
#: Name of the Celery queue, which is also its key.
CELERY_QUEUE: Final = f"{_PREFIX}celery"

#: Prefixes, for scripts that build a key from an id they find.
INTAKE_PREFIX: Final = f"{_PREFIX}intake:"
JOB_PREFIX: Final = f"{_PREFIX}job:"


def intake(consumer_id: str) -> str:
    """One consumer's own list."""
    return INTAKE_PREFIX + consumer_id


def job(session_id: str) -> str:
    """The journal entry of one job."""
    return JOB_PREFIX + session_id


def claim(token: str) -> str:
    """Which job one claim got."""
    return f"{_PREFIX}claim:{token}"


def timeline(session_id: str) -> str:
    """What happened to one session."""
    return f"{_PREFIX}timeline:{session_id}"


def refund_lock(session_id: str) -> str:
    """Held while a refund for this session is under way."""
    return f"{_PREFIX}refund:{session_id}"


def dead_letter(letter_id: str) -> str:
    """One dead letter."""
    return f"{_PREFIX}dead-letter:{letter_id}"


# ---------------------------------------------------------------- lives

#: An idle system forgets its pace: the next claim is then free at once.
PACE_LIFE_S: Final = _HOUR_S
#: How long a claim that is sent again gets the job of the first one.
CLAIM_LIFE_S: Final = 30
#: Longer than the window that is counted.
LIMIT_LIFE_S: Final = 120
#: Longer than any refund call under the lock can take, its transaction on the server included.
REFUND_LOCK_LIFE_S: Final = 60
#: A breaker that is neither probed nor reset expires.
BREAKER_LIFE_S: Final = _DAY_S
DEAD_LETTER_LIFE_S: Final = 30 * _DAY_S
#: Counted from the newest entry.
TIMELINE_LIFE_S: Final = 7 * _DAY_S
#: A timeline keeps this many of its newest entries.
TIMELINE_ENTRIES: Final = 60

# ---------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisKey:
    """
    One key, or all keys of one kind.

    `pattern` holds `{...}` where an id stands. `type` is what Redis calls it. `expires_s` is the
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
        pattern=job("{session_id}"),
        type="hash",
        life="until the job is closed",
        written_by=_BOTH,
        holds="the journal entry, see below",
    ),
    RedisKey(
        pattern=READY,
        type="zset",
        life="entry: until claimed",
        written_by=_BOTH,
        holds="jobs ready to be claimed, by round of the fair order",
    ),
    RedisKey(
        pattern=WAKE,
        type="zset",
        life="entry: until ready or closed",
        written_by=_BOTH,
        holds="leased and delayed jobs by when to look at them again (end of lease, due time)",
    ),
    RedisKey(
        pattern=OWNERS,
        type="zset",
        life="entry: until the owner's last ready job is claimed",
        written_by=_BOTH,
        holds="last round given to each owner with ready jobs",
    ),
    RedisKey(
        pattern=CLOCK,
        type="string",
        life="kept",
        written_by=_CELERY,
        holds="the round being served, one number",
    ),
    RedisKey(
        pattern=PACE,
        type="string",
        expires_s=PACE_LIFE_S,
        life="until it expires",
        written_by=_CELERY,
        holds="when the rate limit allows the next claim",
    ),
    RedisKey(
        pattern=claim("{token}"),
        type="string",
        expires_s=CLAIM_LIFE_S,
        life="until it expires",
        written_by=_CELERY,
        holds="the session a claim got, so that a repeated claim gets the same one",
    ),
    RedisKey(
        pattern=REQUESTS,
        type="zset",
        expires_s=LIMIT_LIFE_S,
        life="entry: a minute",
        written_by=_CELERY,
        holds="one entry for each request let through in the last minute",
    ),
    RedisKey(
        pattern=PICTURES,
        type="zset",
        expires_s=LIMIT_LIFE_S,
        life="entry: a minute",
        written_by=_CELERY,
        holds="one entry for each input picture let through in the last minute",
    ),
    RedisKey(
        pattern=refund_lock("{session_id}"),
        type="string",
        expires_s=REFUND_LOCK_LIFE_S,
        life="until the refund is booked",
        written_by=_CELERY,
        holds="a b2c refund is under way",
    ),
    RedisKey(
        pattern=BREAKER,
        type="hash",
        expires_s=BREAKER_LIFE_S,
        life="until a call succeeds",
        written_by=_CELERY,
        holds="why calls to the image API are halted, and when the next probe may go",
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
        type="list",
        expires_s=TIMELINE_LIFE_S,
        life=f"newest {TIMELINE_ENTRIES} entries, until it expires after the last one",
        written_by=_BOTH,
        holds="what happened to the session",
    ),
    RedisKey(
        pattern=CELERY_QUEUE,
        type="list",
        life="until taken",
        written_by=_BOTH,
        holds="Celery messages, without content: each asks a worker to claim a job",
    ),
)

#: Celery's own keys, as glob patterns. Nothing of ours depends on them.
CELERY_KEYS: Final = ("unacked*", "_kombu.*", "*.pidbox*")
