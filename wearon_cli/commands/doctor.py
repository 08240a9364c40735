"""`wearon doctor`: checks everything that the product needs."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from wearon_cli.cli.comparison import price_question
from wearon_cli.cli.consent import YesOption, require_consent
from wearon_cli.cli.looks import Tone
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result
from wearon_cli.cli.progress import progress
from wearon_cli.core.errors import ConfigError, Unhealthy
from wearon_cli.core.operator.checks import Finding, faults

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings


def doctor(
    local: LocalOption = False,
    data_dir: DataDirOption = None,
    paid: Annotated[
        bool,
        typer.Option(
            "--paid",
            help="Also buy one small picture from each configured model. Asks first.",
        ),
    ] = False,
    yes: YesOption = False,
) -> Result:
    """
    Check everything the worker needs; each failed check says what to do.

    Checks the settings (also against the platform's own timeouts), Redis (version, append-only
    file, memory, eviction, clock), consumers and Celery workers, Supabase (key, tables, columns,
    functions, bucket), image providers (key, models, retirement dates, successors and their
    prices), the pose model on a bundled photo, disk space and port. It takes less than 10 s and is
    safe in production: it changes nothing, costs nothing and shows no secrets.

    With --paid it also buys one small picture of the bundled photos from each configured model
    (OpenAI models through both APIs) and reports whether a picture came and how long it took, its
    price compared with our table, its provenance marks, and whether the purchase can be found and
    fetched again. Each costs one to three cents. It asks first; without a terminal it needs --yes.

    Exit codes: 0 no check failed, 1 a check failed.
    """
    from wearon_cli.runtime.ops.doctor import examine

    settings = _settings(local, data_dir)
    probe = _agreed_probe(settings, yes=yes) if paid else None
    findings = asyncio.run(examine(settings))
    data: dict[str, object] = {"findings": findings}
    if probe is not None:
        probed, data["probes"] = probe()
        findings += probed
    failed = faults(findings)
    return Result(
        data=data,
        lines=[_table(findings), "", _summary(findings)],
        error=Unhealthy(f"{len(failed)} of {len(findings)} checks failed") if failed else None,
    )


def _agreed_probe(
    settings: "Settings", *, yes: bool
) -> Callable[[], tuple[list[Finding], list[dict[str, object]]]]:
    """The paid part, after its price was confirmed: the findings, and data for JSON."""
    from wearon_cli.runtime.ops.logs import configure_quiet_logs
    from wearon_cli.runtime.ops.paid_probe import (
        paid_probe,
        planned,
        probe_facts,
        probe_findings,
    )

    purchases = planned(settings)
    titles, prices = [p.title for p in purchases], [p.expected_usd for p in purchases]
    count = f"{len(purchases)} small picture{'s' * (len(purchases) != 1)}"
    require_consent(price_question(f"buy {count}", titles, prices), yes=yes)

    configure_quiet_logs(settings, "doctor")

    def run() -> tuple[list[Finding], list[dict[str, object]]]:
        with progress(f"buying {count}"):
            probes = asyncio.run(paid_probe(settings, purchases))
        return probe_findings(probes), [probe_facts(probe) for probe in probes]

    return run


def _settings(local: bool, data_dir: Path | None) -> "Settings":
    if not local:
        from wearon_cli.core.settings import load_settings

        return load_settings()
    from wearon_cli.runtime.all.local_stack import DEFAULT_DATA_DIR, attached

    running = attached(data_dir or DEFAULT_DATA_DIR)
    if running is None:
        raise ConfigError(
            f"no local stack runs in {data_dir or DEFAULT_DATA_DIR}",
            hint="start one with `wearon all --local`",
        )
    return running


def _table(findings: list[Finding]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(max_width=36, overflow="fold")
    table.add_column(overflow="fold")
    for finding in findings:
        hint = f"\n-> {finding.hint}" if finding.hint else ""
        table.add_row(_mark(finding), finding.name, Text(f"{finding.detail}{hint}"))
    return table


def _mark(finding: Finding) -> Text:
    if not finding.ok:
        return Tone.FAILED.text("FAIL")
    return Tone.WARNING.text("look") if finding.warning else Tone.OK.text("ok")


def _summary(findings: list[Finding]) -> str:
    warnings = sum(finding.warning for finding in findings)
    plural = "s" if warnings != 1 else ""
    return f"{len(findings)} checks, {len(faults(findings))} failed, {warnings} warning{plural}"
