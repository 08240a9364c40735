"""
Sends generated requests to a running `wearon serve`, from its own OpenAPI document.

    python -m scripts.check_http [--examples 100]     needs schemathesis (pip install schemathesis)

Finds answers of 5xx, and answers that the document does not describe.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

import httpx

from devkit.ports import free_port

READY_WITHIN_S = 60


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--examples", type=int, default=100)
    args = parser.parse_args()
    program = shutil.which("schemathesis")
    if program is None:
        sys.stderr.write("schemathesis is needed on PATH (pip install schemathesis)\n")
        return 1
    port = free_port()
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "wearon_cli", "serve", "--port", str(port)],
            env={**_environment(), "WEARON_HTTP_DOCS": "1"},
            stdout=log,
            stderr=log,
        )
        try:
            _await(f"http://127.0.0.1:{port}/health/ready")
            return subprocess.run(
                [
                    *(program, "run", f"http://127.0.0.1:{port}/openapi.json"),
                    *("--checks", "not_a_server_error,response_schema_conformance"),
                    *("--checks", "content_type_conformance,status_code_conformance"),
                    *("--max-examples", str(args.examples), "--seed", "1"),
                ],
                check=False,
            ).returncode
        finally:
            server.terminate()
            server.wait(timeout=30)


def _environment() -> dict[str, str]:
    return {**os.environ, "WEARON_HTTP_REQUESTS_PER_MINUTE": "1000000"}


def _await(url: str) -> None:
    give_up_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up_s:
        try:
            if httpx.get(url, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise SystemExit("serve did not become ready")


if __name__ == "__main__":
    sys.exit(main())
