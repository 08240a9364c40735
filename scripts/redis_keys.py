"""
Write the table of docs/redis-keys.md from `adapters/redis/keys.py`: `python -m scripts.redis_keys`.

A test compares the two, so the page is never stale.
"""

from pathlib import Path

from wearon_cli.adapters.redis.keys import CELERY_KEYS, KEYS, RedisKey

PAGE = Path(__file__).parents[1] / "docs" / "redis-keys.md"
HEAD = "| key | type | expires | life | written by | what it holds |\n|---|---|---|---|---|---|\n"
#: The documentation's words for Redis's types.
TYPES = {"zset": "sorted set"}
UNITS = ((86_400, "day"), (3_600, "h"), (60, "min"), (1, "s"))


def table() -> str:
    """The whole table."""
    celerys = ", ".join(f"`{pattern}`" for pattern in CELERY_KEYS)
    rows = [
        *map(_row, KEYS),
        f"| {celerys} | | | | Celery | Celery's own; nothing depends on them |",
    ]
    return HEAD + "\n".join(rows) + "\n"


def page(text: str) -> str:
    """`text` with its table replaced."""
    before, _, rest = text.partition("| key |")
    _, _, after = rest.partition("\n\n")
    return f"{before}{table()}\n{after}"


def _row(key: RedisKey) -> str:
    name = TYPES.get(key.type, key.type)
    cells = (
        f"`{key.pattern}`",
        name,
        _duration(key.expires_s),
        key.life,
        key.written_by,
        key.holds,
    )
    return f"| {' | '.join(cells)} |"


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return "no"
    size, unit = next(each for each in UNITS if seconds % each[0] == 0)
    count = seconds // size
    return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"


def main() -> None:
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
