"""`wearon doctor`: checks everything that the product needs."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result
from wearon_cli.core.errors import ConfigError, Unhealthy
from wearon_cli.core.operator.checks import Finding, faults

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings


def doctor(local: LocalOption = False, data_dir: DataDirOption = None) -> Result:
    """
    Check everything that the product needs; a failed check says what to do.

    Settings, Redis (version, memory, eviction, clock), consumers and Celery workers, Supabase (key,
    tables, columns, functions, bucket), image providers (key, each model, when it closes, what
    serves then and at which price), the pose model on a bundled photo, disk and port. It takes less
    than 10 s, changes nothing, costs nothing, and shows no secret: it is safe in production.

    Exit codes: 0 no check failed, 1 a check failed.
    """
    from wearon_cli.runtime.ops.doctor import examine

    findings = asyncio.run(examine(_settings(local, data_dir)))
    failed = faults(findings)
    return Result(
        data={"findings": findings},
        lines=[_table(findings), "", _summary(findings)],
        error=Unhealthy(f"{len(failed)} of {len(findings)} checks failed") if failed else None,
    )


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
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        mark = "[red]FAIL[/]" if not finding.ok else "[yellow]!![/]" if finding.warning else "ok"
        hint = f"\n-> {finding.hint}" if finding.hint else ""
        table.add_row(mark, finding.name, f"{finding.detail}{hint}")
    return table


def _summary(findings: list[Finding]) -> str:
    warnings = sum(finding.warning for finding in findings)
    return f"{len(findings)} checks, {len(faults(findings))} failed, {warnings} warnings"
