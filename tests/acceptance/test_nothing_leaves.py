"""
Measuring a body and drawing a preview contact nothing outside this machine.

The programs run as users run them, and Linux reports every peer that they name. MediaPipe reports
to its vendor when a landmarker is closed, unless this is prevented.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from devkit.network_use import Contact, contacts, has_ended, traced, why_not
from devkit.ports import free_port
from devkit.servers.photos import served_photos
from devkit.stores import skip_or_fail
from devkit.waiting import LONGEST_S, until
from wearon_cli.adapters.pose.model_file import require_model
from wearon_cli.core.errors import ConfigError
from wearon_cli.core.settings import load_settings

pytestmark = pytest.mark.slow

FRONT = Path(__file__).parents[1] / "data" / "bodies" / "front.jpg"
WEARON = (sys.executable, "-m", "wearon_cli")
#: Addresses of no host (RFC 5737), and two ways to name them as a peer without sending anything.
NOBODY = "192.0.2.1"
NAMING = f"""
import socket
for port in (443, 53):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("{NOBODY}", port))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("127.0.0.1", 53))
"""


@pytest.fixture(scope="module", autouse=True)
def can_be_watched() -> None:
    if (why := why_not()) is not None:
        skip_or_fail(why)
    try:
        require_model(load_settings())
    except ConfigError as exc:
        skip_or_fail(str(exc))


def start(trace: Path, *command: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        traced(command, trace),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process: subprocess.Popen[str], trace: Path) -> set[Contact]:
    """Wait for its successful end; returns all its peers."""
    said, _ = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, said
    until(lambda: has_ended(trace, process.pid), found=lambda: trace.read_text("utf-8"))
    return contacts(trace)


def outside(found: set[Contact]) -> list[Contact]:
    return sorted((each for each in found if each.is_outside), key=str)


def test_a_contact_outside_the_machine_is_detected(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    found = end(start(trace, sys.executable, "-c", NAMING), trace)
    assert outside(found) == [
        Contact(address="127.0.0.1", port=53),  # the resolvers
        Contact(address=NOBODY, port=443),
        Contact(address=NOBODY, port=53),
    ]


def test_estimate_contacts_nobody(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    found = end(start(trace, *WEARON, "estimate", str(FRONT), "--height", "165.6"), trace)
    assert outside(found) == []


def test_serve_contacts_only_the_configured_host(tmp_path: Path) -> None:
    trace, port = tmp_path / "trace", free_port()
    url = f"http://127.0.0.1:{port}"
    with served_photos() as origin, httpx.Client(trust_env=False, timeout=LONGEST_S) as caller:
        server = start(trace, *WEARON, "serve", "--port", str(port), WEARON_FETCH_ORIGINS=origin)

        def is_ready() -> bool:
            try:
                return caller.get(f"{url}/health/ready").status_code == 200
            except httpx.TransportError:
                return False

        until(is_ready, found=server.poll, every_s=0.2)
        photo = {"image_url": f"{origin}/person.jpg", "height_cm": 170}
        answer = caller.post(f"{url}/estimate-body", json=photo)
        server.send_signal(signal.SIGTERM)
        found = end(server, trace)
    assert answer.status_code == 200, answer.text
    photos = Contact(address="127.0.0.1", port=int(origin.rpartition(":")[2]))
    assert photos in found  # its real contacts were detected
    assert outside(found) == []


def test_a_local_stack_with_a_preview_contacts_nobody(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    words = ("demo", "--out", str(tmp_path / "picture.jpg"))
    found = end(start(trace, *WEARON, *words), trace)
    assert found
    assert outside(found) == []
