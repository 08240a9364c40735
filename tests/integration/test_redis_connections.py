"""
Connections to a real Redis: TLS with a trusted or untrusted certificate, and a Unix socket. For our
own client, for sending, and for the worker.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from devkit.scripted_worker import DONE
from devkit.servers.redis_server import RedisServer
from devkit.servers.tls_proxy import HOST, TlsProxy
from devkit.waiting import LONGEST_S, reached
from wearon_cli.adapters.celery_app import CelerySender, make_celery
from wearon_cli.adapters.redis.client import connect, redis_errors
from wearon_cli.adapters.redis.keys import CELERY_QUEUE
from wearon_cli.core.errors import QueueUnavailable
from wearon_cli.core.jobs.journal import Released
from wearon_cli.core.session import Channel

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

JOB = Released(session_id="completed-1", channel=Channel.B2B, number=1, request_id="req-1")


@pytest.fixture
def plain(redis_server: RedisServer) -> Iterator[Any]:
    with Redis.from_url(redis_server.url) as redis:
        redis.flushall()
        yield redis


@pytest.fixture
def tls(redis_server: RedisServer, tmp_path: Path) -> Iterator[TlsProxy]:
    with TlsProxy(redis_server.port, tmp_path) as proxy:
        yield proxy


@pytest.fixture
def other_name(redis_server: RedisServer, tmp_path: Path) -> Iterator[TlsProxy]:
    """Its certificate is for another host."""
    with TlsProxy(redis_server.port, tmp_path, name="redis.test") as proxy:
        yield proxy


@pytest.fixture(params=["TLS, its CA given", "Unix socket"])
def address(request: pytest.FixtureRequest, redis_server: RedisServer, tls: TlsProxy) -> str:
    if request.param == "Unix socket":
        return f"unix://{redis_server.socket_path}?db=0"
    return f"rediss://{HOST}:{tls.port}/0?ssl_ca_certs={tls.certificate}"


@pytest.fixture(params=["its CA is unknown", "it is another host's"])
def untrusted(request: pytest.FixtureRequest, tls: TlsProxy, other_name: TlsProxy) -> str:
    if request.param == "its CA is unknown":
        return f"rediss://{HOST}:{tls.port}/0"
    return f"rediss://{HOST}:{other_name.port}/0?ssl_ca_certs={other_name.certificate}"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as one:
        yield one


def worker(address: str, folder: Path, stack: ExitStack) -> tuple[subprocess.Popen[bytes], Path]:
    log = folder / "worker.log"
    words = (sys.executable, "-m", "devkit.scripted_worker", address, "2", "1")
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process, log


async def test_our_client_and_celery_work(
    address: str, plain: Any, tmp_path: Path, stack: ExitStack
) -> None:
    client = connect(address)
    assert await client.ping()
    await client.aclose()
    sender = CelerySender(make_celery(address))
    await sender.send(JOB)
    await sender.aclose()
    assert plain.llen(CELERY_QUEUE) == 1
    worker(address, tmp_path, stack)
    await reached(lambda: plain.lrange(DONE, 0, -1) == [b"completed-1"])


async def test_our_client_refuses_a_certificate_and_says_so(untrusted: str) -> None:
    client = connect(untrusted, retries=0)
    with pytest.raises(QueueUnavailable, match="not trusted") as refused, redis_errors():
        await client.ping()
    assert "ssl_ca_certs" in refused.value.hint
    await client.aclose()


async def test_sending_refuses_it_too(untrusted: str, plain: Any) -> None:
    sender = CelerySender(make_celery(untrusted))
    with pytest.raises(QueueUnavailable):
        await sender.send(JOB)
    await sender.aclose()
    assert plain.llen(CELERY_QUEUE) == 0


def test_celerys_worker_refuses_it_too(untrusted: str) -> None:
    """Without our client's check at start: kombu verifies no certificate unless configured to."""
    app: Any = make_celery(untrusted)
    with (
        app.connection_for_read() as connection,
        pytest.raises(connection.connection_errors, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        connection.connect()
    app.close()


@pytest.mark.parametrize("role", ["celery", "consume"])
def test_a_role_ends_with_one_clear_line(untrusted: str, role: str, tmp_path: Path) -> None:
    environment = {**os.environ, "REDIS_URL": untrusted, "WEARON_LOCAL_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "wearon_cli", role],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert done.returncode == QueueUnavailable.exit_code
    assert "the certificate of Redis is not trusted" in done.stderr
    assert "Traceback" not in done.stderr
