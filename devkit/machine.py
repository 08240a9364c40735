"""One line that describes the machine on which a figure was measured."""

import platform
from datetime import UTC, datetime

import psutil


def machine() -> str:
    """Processor count, memory, system, Python and date."""
    memory_gb = psutil.virtual_memory().total / 2**30
    return (
        f"{psutil.cpu_count()} cores, {memory_gb:.0f} GB, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}"
    )
