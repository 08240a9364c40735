"""
Sends generated requests to a running `wearon serve`, from its own OpenAPI document.

    python -m scripts.check_http [--examples 100]     needs schemathesis (pip install schemathesis)

Finds answers of 5xx, and answers that the document does not describe.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from devkit.http_app import serve_process


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--examples", type=int, default=100)
    args = parser.parse_args()
    program = shutil.which("schemathesis")
    if program is None:
        sys.stderr.write("schemathesis is needed on PATH (pip install schemathesis)\n")
        return 1
    settings = {"WEARON_HTTP_DOCS": "1", "WEARON_HTTP_REQUESTS_PER_MINUTE": "1000000"}
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_process(Path(folder), **settings) as port,
    ):
        return subprocess.run(
            [
                *(program, "run", f"http://127.0.0.1:{port}/openapi.json"),
                *("--checks", "not_a_server_error,response_schema_conformance"),
                *("--checks", "content_type_conformance,status_code_conformance"),
                *("--max-examples", str(args.examples), "--seed", "1"),
            ],
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
