"""The deployment files refer only to existing settings, files, ports, metrics and runbooks."""

import asyncio
import configparser
import json
import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from devkit.compose import read_compose
from devkit.idle_queue import IDLE
from scripts.configuration import environment_name
from wearon_cli.core.jobs.breakers import Halt
from wearon_cli.core.operator.queue_stats import QueueStats
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.http.edge import MAX_BODY_BYTES, MOST_PHOTOS
from wearon_cli.runtime.ops.metrics import PORT_OFFSETS, Meters, QueueCollector

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
NO_SUBNET = {"WEARON_EDGE_SUBNET": ""}
COMPOSE = ["compose.yaml", "compose.dev.yaml"]
NOW = datetime(2026, 1, 2, tzinfo=UTC)
#: The values that a scrape reads from Redis.
HALT = Halt(name="storage", reason="r", since=NOW, next_probe_at=NOW)
STATS = replace(IDLE, halts=(HALT,))


class Looks:
    async def look(self) -> QueueStats:
        return STATS


async def scraped() -> set[str]:
    """Names of all gauges that a scrape of `consume` reads from Redis."""
    collector = QueueCollector(Looks(), Settings(), asyncio.get_running_loop())
    return {metric.name for metric in await asyncio.to_thread(lambda: list(collector.collect()))}


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text("utf-8"))
    return document


def settings_names() -> set[str]:
    return {environment_name(name, field) for name, field in Settings.model_fields.items()}


def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: service
        for name, service in compose["services"].items()
        if service.get("command", [""])[0] in {"all", "consume", "celery", "serve"}
    }


@pytest.mark.parametrize("name", COMPOSE)
def test_compose_sets_only_existing_settings(name: str) -> None:
    services = ours(read(name))
    assert services
    for service in services.values():
        assert set(service["environment"]) <= settings_names()


@pytest.mark.parametrize("name", COMPOSE)
def test_every_file_that_is_mounted_is_there(name: str) -> None:
    for service in read(name)["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source


def test_production_services_are_restricted_and_drain_before_they_are_killed() -> None:
    for service in ours(read("compose.yaml")).values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert int(service["stop_grace_period"].removesuffix("s")) > Settings().stop_grace_s
        assert "ports" not in service  # only the proxy is public


def test_serve_believes_the_proxys_network_and_no_other() -> None:
    compose = read_compose(DEPLOY / "compose.yaml", dict.fromkeys(variables(), "x") | NO_SUBNET)
    subnet = compose["networks"]["edge"]["ipam"]["config"][0]["subnet"]
    on_edge = {n for n, each in compose["services"].items() if "edge" in each.get("networks", [])}
    assert compose["services"]["serve"]["environment"]["WEARON_HTTP_TRUSTED_PROXIES"] == subnet
    assert on_edge == {"serve", "proxy"}
    assert ip_network(subnet).is_private
    for role in ("consume", "celery"):
        assert "WEARON_HTTP_TRUSTED_PROXIES" not in compose["services"][role]["environment"]


def variables() -> set[str]:
    return set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text("utf-8")))


def test_every_variable_that_compose_asks_for_is_in_the_example() -> None:
    asked = variables() | {
        secret["environment"] for secret in read("compose.yaml")["secrets"].values()
    }
    given = set(re.findall(r"^(\w+)=", (DEPLOY / ".env.example").read_text("utf-8"), re.MULTILINE))
    assert asked == given


def test_prometheus_scrapes_services_at_their_ports() -> None:
    compose, prometheus = read("compose.yaml"), read("prometheus/prometheus.yml")
    base = int(compose["services"]["consume"]["environment"]["WEARON_METRICS_PORT"])
    ports = {role: base + offset for role, offset in PORT_OFFSETS.items()} | {"serve": 8000}
    for job in prometheus["scrape_configs"]:
        (found,) = job[
            "dns_sd_configs"
        ]  # one address per container: all containers of a service are scraped
        (name,) = found["names"]
        assert found["type"] == "A"
        assert found["port"] == ports.pop(name)
        assert job["relabel_configs"] == [{"target_label": "role", "replacement": name}]
        assert name in compose["services"]
    assert not ports


def test_alerts_reach_receivers_whose_addresses_compose_passes() -> None:
    compose, prometheus = read("compose.yaml"), read("prometheus/prometheus.yml")
    (manager,) = prometheus["alerting"]["alertmanagers"]
    assert manager["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    told = read("prometheus/alertmanager.yml")
    addresses = {
        receiver["name"]: message["api_url_file"].rpartition("/")[2]
        for receiver in told["receivers"]
        for message in receiver["slack_configs"]
    }
    assert set(addresses.values()) == set(compose["services"]["alertmanager"]["secrets"])
    severities = {
        rule["labels"]["severity"] for rule in read("prometheus/alerts.yml")["groups"][0]["rules"]
    }
    assert severities == set(addresses)


def test_the_systemd_unit_gives_a_role_time_to_drain_and_settings_that_exist() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # names as they are written
    unit.read_string((DEPLOY / "wearon@.service").read_text("utf-8"))
    service = unit["Service"]
    assert service["ExecStart"].endswith("/wearon %i")
    assert service["KillMode"] == "mixed"  # the role ends its children itself
    assert int(service["TimeoutStopSec"]) > Settings().stop_grace_s
    given = {pair.partition("=")[0] for pair in service["Environment"].split()}
    assert given <= settings_names()


def metrics_named() -> set[str]:
    rules = (DEPLOY / "prometheus/alerts.yml").read_text("utf-8")
    board = (DEPLOY / "grafana/dashboards/wearon.json").read_text("utf-8")
    return set(re.findall(r"wearon_\w+", rules + board))


def test_every_metric_in_queries_exists() -> None:
    text = Meters().render().decode()
    made = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE)) | asyncio.run(scraped())
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics_named()}
    assert bare - made == set()


def test_every_alert_has_a_runbook() -> None:
    rules = read("prometheus/alerts.yml")["groups"][0]["rules"]
    page = (ROOT / "docs/alerts.md").read_text("utf-8")
    headings = {line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")}
    for rule in rules:
        assert rule["alert"] in headings
        section = rule["alert"].lower()
        assert rule["annotations"]["runbook_url"] == "{{ $externalLabels.runbooks }}#" + section
    assert len(rules) == len(headings)


def test_the_proxy_lets_the_largest_upload_through() -> None:
    given = re.search(r"max_size (\d+)MiB", (DEPLOY / "Caddyfile").read_text("utf-8"))
    most_bytes = MOST_PHOTOS * Settings().max_picture_bytes + MAX_BODY_BYTES
    assert given is not None
    assert int(given[1]) * 2**20 >= most_bytes


def test_grafana_can_read_the_dashboard() -> None:
    board = json.loads((DEPLOY / "grafana/dashboards/wearon.json").read_text("utf-8"))
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)) > 15
    source = read("grafana/provisioning/datasources/prometheus.yaml")["datasources"][0]["uid"]
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source}


def test_the_image_installs_what_signs_pictures() -> None:
    """The extra `c2pa` of pyproject.toml, locked."""
    locks = re.findall(r"-r (\S+\.lock)", (ROOT / "Dockerfile").read_text("utf-8"))
    locked = "".join((ROOT / name).read_text("utf-8") for name in locks)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for wanted in project["optional-dependencies"]["c2pa"]:
        assert f"\n{re.split('[<>=]', wanted)[0]}==" in locked
    for name in locks:
        assert f"!{name}\n" in (ROOT / ".dockerignore").read_text("utf-8")
