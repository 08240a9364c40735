"""
Run every query of the dashboard and the alert rules in a real Prometheus, while a stack works.

    python -m scripts.check_dashboards          needs `prometheus` and `promtool` on PATH

Starts a local stack, runs jobs that fail in every way that is counted, and measures photos; scrapes
it every second; then runs the queries. Exit code 1 when a query finds nothing. A rule is run
without its threshold: the compared series must exist.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from devkit.load import Load, ordered, under_load
from devkit.ports import free_port

ROOT = Path(__file__).parents[1]
DASHBOARD = ROOT / "deploy/grafana/dashboards/wearon.json"
RULES = ROOT / "deploy/prometheus/alerts.yml"
STORE = "00000000-0000-4000-9000-000000000001"
#: Most calls succeed; the rest cause every failure that a panel counts.
FAULTS = [
    {"name": "rate_limited", "probability": 0.1},
    {"name": "moderation_input", "probability": 0.1},
    {"name": "html_504", "probability": 0.1},
]
JOBS = 40
WORK_S = 45.0
#: At the end the account is refused: a breaker opens and is scraped while it is open.
REFUSED = [{"name": "billing_hard_limit", "probability": 1.0}]
REFUSED_S = 10.0
THRESHOLD = re.compile(r"\s[<>]=?\s[\d.]+\s*$")


def queries() -> Iterator[tuple[str, str]]:
    """A query, and where it is used."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    rules = subprocess.run(
        ["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=True
    )
    sys.stdout.write(rules.stdout)
    for name, expression in re.findall(
        r"- alert: (\w+)\n\s+expr: (?:\|\n)?((?:.|\n)*?)\n\s+(?:for|labels):", RULES.read_text()
    ):
        one_line = " ".join(expression.split())
        yield name, THRESHOLD.sub("", one_line).replace("offset 1h", "offset 5s")


@contextmanager
def prometheus(targets: dict[str, int]) -> Iterator[str]:
    """Run a server that scrapes these ports; yields its address."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "prometheus.yml"
        jobs = [
            {
                "job_name": "wearon",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{at}"], "labels": {"role": role}}
                    for role, at in targets.items()
                ],
            }
        ]
        settings = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
        config.write_text(json.dumps(settings))  # JSON is YAML
        server = subprocess.Popen(
            [
                *("prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data"),
                *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"),
            ]
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=20)


def work(load: Load) -> None:
    """Jobs, photos, malformed payloads, and time for all of it to be scraped."""
    load.api.rules(faults=FAULTS)
    *jobs, last = ordered(load, [STORE] * (JOBS + 1))
    load.push([("", b"{ not a job"), *jobs[: JOBS // 2]])
    base = f"http://{load.settings.host}:{load.settings.port}/estimate-body"
    photos = [f"{load.photo_origin}/{name}" for name in ("person.jpg", "garment_tee.jpg")]
    end_s = time.monotonic() + WORK_S
    later = jobs[JOBS // 2 :]
    while time.monotonic() < end_s:
        for photo in photos:
            httpx.post(base, json={"image_url": photo, "height_cm": 170}, trust_env=False)
        if later:
            load.push([later.pop()])
        time.sleep(1)
    load.api.rules(faults=REFUSED)
    load.push([last])
    time.sleep(REFUSED_S)


def main() -> int:
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        sys.stderr.write("prometheus and promtool are needed on PATH (Debian: prometheus)\n")
        return 1
    metrics_port = free_port()
    with under_load(latency="0.5-1.5", WEARON_METRICS_PORT=str(metrics_port)) as load:
        targets = {
            "consume": metrics_port,
            "celery": metrics_port + 1,
            "serve": load.settings.port,
        }
        with prometheus(targets) as address:
            work(load)
            empty = 0
            for where, query in queries():
                answer = httpx.get(
                    f"{address}/api/v1/query", params={"query": query}, trust_env=False
                ).json()
                found = len(answer.get("data", {}).get("result", []))
                empty += found == 0
                print(f"{'ok ' if found else 'NOTHING'} {found:3}  {where}: {query}")
    print(f"{empty} queries found nothing")
    return int(empty > 0)


if __name__ == "__main__":
    sys.exit(main())
