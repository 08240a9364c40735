"""
`wearon web` and `wearon sessions` on 100,000 rows, over the local store and over Supabase's parts.

    python -m benchmarks.bench_web [--rows 100000] [--idle-s 60]

Prints the server's time for each page (median and worst of ten), the page sizes without pictures,
and what the idle process costs: memory (PSS), and Redis commands per minute without and with one
live page. Supabase is real PostgreSQL and PostgREST. Exit code 1 when a target of
docs/benchmarks.md is missed.
"""

import argparse
import asyncio
import os
import re
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
from redis import Redis

from devkit.machine import machine
from devkit.operator_page import RunningPage, web_page
from devkit.redis_use import redis_use
from devkit.servers.redis_server import RedisServer
from devkit.servers.supabase import SERVICE_KEY, SupabaseServer
from wearon_cli.adapters.local.accounts import DEMO_STORE_ID, DEMO_USER_ID
from wearon_cli.core.operator.search import Wanted
from wearon_cli.core.session import utc_now
from wearon_cli.core.settings import Settings, load_settings
from wearon_cli.runtime.all.local_stack import local_services
from wearon_cli.wiring.operator import open_operator_tools

MAX_PAGE_S, MAX_PAGE_KB, MAX_IDLE_MB, MAX_COMMANDS = 1.0, 200, 80, 30
VIEWS = 10
PAGES = {
    "first page": "/",
    "sessions": "/sessions",
    "sessions, failed": "/sessions?status=failed",
    "sessions of a store": f"/sessions?store={DEMO_STORE_ID}",
    "sessions by cause": "/sessions?cause=rate_limited",
    "a shopper's e-mail": "/sessions?q=shopper77@shop.test",
    "a request id": "/sessions?q=req-77777",
    "beginning of an id": "/sessions?q=0000a",
    "failures": "/failures",
    "costs": "/costs",
}
#: The same rows in both stores: every tenth failed, half of them of a merchant store.
_COLUMNS = (
    "id, status, model_image_url, prompt_system, created_at, completed_at, processing_time_ms, "
    "estimated_cost_usd"
)


def id_of(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def fill_local(path: Path, rows: int) -> None:
    """Half a minute of SQL in one transaction."""
    now = time.time()
    b2c, b2b = [], []
    for number in range(rows):
        at = time.strftime("%Y-%m-%dT%H:%M:%S.000000+00:00", time.gmtime(now - number * 6))
        status = "failed" if number % 10 == 0 else "completed"
        row = (id_of(number), status, "expired", "p" * 400, at, at, 41_000, 0.05)
        if number % 2:
            b2b.append((*row, DEMO_STORE_ID, f"shopper{number}@shop.test", f"req-{number}"))
        else:
            b2c.append((*row, DEMO_USER_ID))
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(
            f"INSERT INTO generation_sessions ({_COLUMNS}, user_id) VALUES ({marks(9)})", b2c
        )
        db.executemany(
            f"INSERT INTO store_generation_sessions ({_COLUMNS}, store_id, shopper_email, "
            f"request_id) VALUES ({marks(11)})",
            b2b,
        )


def marks(number: int) -> str:
    return ", ".join("?" * number)


def fill_supabase(server: SupabaseServer, rows: int) -> None:
    common = (
        "(lpad(to_hex(n), 8, '0') || '-0000-4000-8000-000000000000')::uuid, "
        "CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'completed' END, 'expired', repeat('p', 400), "
        "now() - n * interval '6 s', now() - n * interval '6 s', 41000, 0.05"
    )
    series = f"FROM generate_series(0, {rows - 1}) AS n WHERE n % 2 ="
    server.run(
        f"INSERT INTO users VALUES ('{DEMO_USER_ID}');"
        f"INSERT INTO stores (id, shop_domain) VALUES ('{DEMO_STORE_ID}', 'linden.example');"
        f"INSERT INTO generation_sessions ({_COLUMNS}, user_id) "
        f"SELECT {common}, '{DEMO_USER_ID}'::uuid {series} 0;"
        f"INSERT INTO store_generation_sessions ({_COLUMNS}, store_id, shopper_email, request_id) "
        f"SELECT {common}, '{DEMO_STORE_ID}'::uuid, 'shopper' || n || '@shop.test', "
        f"'req-' || n {series} 1;"
        "ANALYZE"
    )


@contextmanager
def local_page(folder: Path, rows: int) -> Iterator[tuple[RunningPage, Settings]]:
    """The page, and the settings of its stack."""
    data = folder / "local"
    with local_services(data, host="127.0.0.1", port=0) as settings:
        with web_page(data):
            pass  # makes the file
        fill_local(data / "wearon.db", rows)
        with web_page(data) as page:
            yield page, settings


@contextmanager
def supabase_page(folder: Path, rows: int) -> Iterator[tuple[RunningPage, Settings]]:
    redis = RedisServer(folder)
    redis.start()
    try:
        with SupabaseServer() as server:
            fill_supabase(server, rows)
            names = {
                "REDIS_URL": redis.url,
                "SUPABASE_URL": server.url,
                "SUPABASE_SERVICE_ROLE_KEY": SERVICE_KEY,
            }
            os.environ.update(names)
            with web_page(None, environment=names) as page:
                yield page, load_settings()
    finally:
        redis.stop()


def measure(page: RunningPage, settings: Settings, idle_s: float) -> list[str]:
    """Prints the table; returns the missed targets."""
    missed = []
    assert settings.redis_url is not None
    redis_url = settings.redis_url.get_secret_value()
    process = psutil.Process(page.process.pid)
    with page.client() as browser, closing(Redis.from_url(redis_url)) as redis:
        started_mb = process.memory_full_info().pss / 1e6
        idle = commands_a_minute(redis, idle_s)
        print(f"{'page':<22} {'median ms':>10} {'worst ms':>9} {'kB':>6}")
        for name, address in PAGES.items():
            median_s, worst_s, size_kb = view(page, browser, address)
            print(f"{name:<22} {median_s * 1000:>10.0f} {worst_s * 1000:>9.0f} {size_kb:>6.0f}")
            if median_s > MAX_PAGE_S or size_kb > MAX_PAGE_KB:
                missed.append(name)
        command_s = search_s(settings)
        live = with_viewer(page, browser, redis, idle_s)
        used_mb = process.memory_full_info().pss / 1e6
    print(f"{'`wearon sessions`':<22} {command_s * 1000:>10.0f}   (median, at the server)")
    print(f"{'memory, just started':<22} {started_mb:>10.0f}   MB")
    print(f"{'memory, after all this':<22} {used_mb:>10.0f}   MB")
    print(f"{'Redis commands, idle':<22} {idle:>10.1f}   a minute, nobody looks")
    print(f"{'Redis commands, live':<22} {live:>10.1f}   a minute, one page of Now open")
    if command_s > MAX_PAGE_S:
        missed.append("wearon sessions")
    if started_mb > MAX_IDLE_MB:
        missed.append("memory")
    if idle > MAX_COMMANDS:
        missed.append("commands")
    return missed


def view(page: RunningPage, browser: httpx.Client, address: str) -> tuple[float, float, float]:
    """Median and worst time at the server, and the size of the page, of several views."""
    seen, size = len(times_ms(page)), 0
    for _ in range(VIEWS):
        answer = browser.get(address, follow_redirects=False)
        assert answer.status_code in {200, 303}, answer.text[:300]
        size = len(answer.content)
    took_s = [each / 1000 for each in times_ms(page)[seen:]]
    return statistics.median(took_s), max(took_s), size / 1000


def times_ms(page: RunningPage) -> list[int]:
    """What the server logged of each answer."""
    return [int(each) for each in re.findall(r'"duration_ms": (\d+)', page.log.read_text())]


def search_s(settings: Settings) -> float:
    """The time of the queries of `wearon sessions --since 30d`: median of several."""

    async def run() -> list[float]:
        took = []
        async with open_operator_tools(settings) as tools:
            for _ in range(VIEWS):
                begun_s = time.perf_counter()
                page = await tools.search.find(Wanted(since=utc_now() - timedelta(days=30)))
                took.append(time.perf_counter() - begun_s)
                assert len(page.sessions) == 50
        return took

    return statistics.median(asyncio.run(run()))


def commands_a_minute(redis: Redis, idle_s: float) -> float:
    before = redis_use(redis)
    time.sleep(idle_s)
    return (redis_use(redis) - before).count / idle_s * 60


def with_viewer(page: RunningPage, browser: httpx.Client, redis: Redis, idle_s: float) -> float:
    """Commands a minute while one browser has the first page open."""
    is_over = threading.Event()

    def watch() -> None:
        client = httpx.Client(base_url=page.origin, cookies=browser.cookies, trust_env=False)
        with client, client.stream("GET", "/live/now", timeout=None) as answer:
            for _ in answer.iter_lines():
                if is_over.is_set():
                    return

    viewer = threading.Thread(target=watch, daemon=True)
    viewer.start()
    time.sleep(1)
    spent = commands_a_minute(redis, idle_s)
    is_over.set()
    return spent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--idle-s", type=float, default=60.0)
    asked = parser.parse_args()
    os.environ["WEARON_LOG_FORMAT"] = "json"
    print(f"{machine()}, {asked.rows} rows")
    missed = []
    for name, opened in (("local store", local_page), ("PostgREST", supabase_page)):
        print(f"\n{name}")
        with (
            tempfile.TemporaryDirectory() as folder,
            opened(Path(folder), asked.rows) as (page, settings),
        ):
            missed += [f"{name}: {each}" for each in measure(page, settings, asked.idle_s)]
    print("\nmissed: " + ", ".join(missed) if missed else "\nall targets held")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
