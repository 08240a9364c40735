"""
Run a real Prometheus and Alertmanager with the files of deploy/prometheus, and check the alerts.

    python -m scripts.check_monitoring      as root; about 3 minutes; needs `unshare`, `ip`,
                                            `prometheus` and `alertmanager` on PATH

In its own network, a name server answers like that of the compose network: `consume` has two
containers, `celery` three of which one does not answer, `serve` one that requires the token. They
serve the product's metrics, with values that trigger alerts. Exit code 1 unless every container is
scraped and each alert arrives at the receiver of its severity, with a link to its runbook.
"""

import json
import os
import shutil
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from wearon_cli.runtime.ops.metrics import Meters

CONFIG = Path(__file__).parents[1] / "deploy" / "prometheus"
RUNBOOKS = "https://docs.example.com/alerts.md"
TOKEN = "token-of-the-check"
PORTS = {"consume": 9101, "celery": 9102, "serve": 8000}
CONTAINERS = {
    "consume": ["127.0.1.1", "127.0.1.2"],
    "celery": ["127.0.2.1", "127.0.2.2", "127.0.2.3"],
    "serve": ["127.0.3.1"],
}
DEAD = "127.0.2.3"
PEOPLE = ("127.0.4.1", 8080)
#: Receiver of each expected alert, and a word of its text.
EXPECTED = {"RoleDown": ("page", DEAD), "CallsHalted": ("page", ""), "WorkersLost": ("ticket", "")}
LONGEST_S = 240.0


class Container(BaseHTTPRequestHandler):
    """The metrics of one process: nothing is bought, and each scrape counts a lost worker."""

    meters = Meters()

    def do_GET(self) -> None:
        guarded = self.headers["Host"].endswith(f":{PORTS['serve']}")
        if guarded and self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.send_error(401)
            return
        self.meters.workers_lost.inc()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.meters.render() + b"wearon_purchases_stopped 1\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class People(BaseHTTPRequestHandler):
    """Both webhooks."""

    told: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012 - one for all connections

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.told.append((self.path.strip("/"), json.loads(body)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Names(socketserver.BaseRequestHandler):
    """A name server for the containers (RFC 1035): A records, or an empty answer."""

    def handle(self) -> None:
        query, out = self.request
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12 : at + 5]
        (kind,) = struct.unpack(">H", question[-4:-2])
        addresses = CONTAINERS.get(".".join(labels), []) if kind == 1 else []
        head = query[:2] + struct.pack(">5H", 0x8180, 1, len(addresses), 0, 0)
        records = b"".join(
            struct.pack(">HHHIH", 0xC00C, 1, 1, 5, 4) + bytes(map(int, each.split(".")))
            for each in addresses
        )
        out.sendto(head + question + records, self.client_address)


def serve(server: socketserver.BaseServer) -> None:
    threading.Thread(target=server.serve_forever, daemon=True).start()


def surroundings(folder: Path) -> None:
    """The compose network and its secrets, as Prometheus and Alertmanager see them."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    files = {
        "/etc/resolv.conf": "nameserver 127.0.0.1\n",
        "/etc/hosts": "127.0.0.1 localhost\n127.0.0.1 alertmanager\n",
    }
    for name, text in files.items():
        ours = folder / name.rpartition("/")[2]
        ours.write_text(text, "ascii")
        subprocess.run(["mount", "--bind", ours, name], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    secrets = {"http_token": TOKEN} | {
        f"alert_{kind}_url": "http://{}:{}/{}".format(*PEOPLE, kind) for kind in ("page", "ticket")
    }
    Path("/run/secrets").mkdir()
    for name, value in secrets.items():
        Path("/run/secrets", name).write_text(value, "ascii")
    serve(socketserver.UDPServer(("127.0.0.1", 53), Names))
    serve(ThreadingHTTPServer(PEOPLE, People))
    for role, addresses in CONTAINERS.items():
        for address in set(addresses) - {DEAD}:
            serve(ThreadingHTTPServer((address, PORTS[role]), Container))


@contextmanager
def monitoring(folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Both programs, with the deployed files unchanged."""
    manager = shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")
    commands = [
        [
            *("prometheus", f"--config.file={CONFIG / 'prometheus.yml'}", "--log.level=warn"),
            f"--storage.tsdb.path={folder / 'prometheus'}",
            "--enable-feature=expand-external-labels",  # always on from Prometheus 3 on
        ],
        [
            *(str(manager), f"--config.file={CONFIG / 'alertmanager.yml'}", "--log.level=warn"),
            *(f"--storage.path={folder / 'manager'}", "--cluster.listen-address="),
        ],
    ]
    environment = {**os.environ, "RUNBOOKS_URL": RUNBOOKS}
    running = [subprocess.Popen(command, env=environment) for command in commands]
    try:
        yield running
    finally:
        for process in running:
            process.terminate()
            process.wait(timeout=20)


def reached(what: str, state: Callable[[], bool], running: list[subprocess.Popen[bytes]]) -> bool:
    """Wait for a state while both programs run; returns whether it was reached."""
    start_s = time.monotonic()
    while time.monotonic() - start_s < LONGEST_S and not any(each.poll() for each in running):
        if state():
            print(f"ok   {what} ({time.monotonic() - start_s:.0f} s)", flush=True)
            return True
        time.sleep(1)
    print(f"NOT  {what}", flush=True)
    return False


def scraped() -> dict[str, str]:
    """Health of each target of Prometheus, by address."""
    try:
        answer = httpx.get("http://127.0.0.1:9090/api/v1/targets", trust_env=False).json()
    except httpx.HTTPError:
        return {}
    return {each["labels"]["instance"]: each["health"] for each in answer["data"]["activeTargets"]}


def all_scraped() -> bool:
    wanted = {
        f"{address}:{PORTS[role]}": "down" if address == DEAD else "up"
        for role, addresses in CONTAINERS.items()
        for address in addresses
    }
    return scraped() == wanted


def told_of(alert: str) -> bool:
    """True when the right receiver got it, with its section of the runbooks."""
    receiver, word = EXPECTED[alert]
    for path, message in People.told:
        (text,) = message["attachments"]
        if text["title"] == alert:
            link = f"{RUNBOOKS}#{alert.lower()}"
            return path == receiver and text["title_link"] == link and word in text["text"]
    return False


def inside() -> int:
    with tempfile.TemporaryDirectory() as name:
        surroundings(Path(name))
        with monitoring(Path(name)) as running:
            what = "every container is scraped, one is down"
            results = [reached(what, all_scraped, running)]
            for alert, (receiver, _) in EXPECTED.items():
                what = f"{alert} reaches {receiver}"
                results.append(reached(what, partial(told_of, alert), running))
    for path, message in People.told:
        print(path, json.dumps(message["attachments"][0], indent=1))
    return int(not all(results))


def main() -> int:
    if sys.argv[1:] == ["inside"]:
        return inside()
    command = ["unshare", "--mount", "--net", sys.executable, "-m", "scripts.check_monitoring"]
    return subprocess.run([*command, "inside"]).returncode


if __name__ == "__main__":
    sys.exit(main())
