"""Memory and CPU time of processes and their children, by role."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

SAMPLE_EVERY_S = 1.0
ROLES = ("all", "consume", "celery", "serve")
#: The processes of a Celery role that read pictures.
PIXELS = "pixels"
#: The process that checks pictures.
CHECKS = "checks"
#: Processes that run jobs: their CPU time counts for a job.
WORKERS = ("consume", "celery", PIXELS, CHECKS)


def role_of(process: psutil.Process) -> str:
    """The role it was started for; `pixels`; else the name of its program."""
    words = process.cmdline()
    if any(word.endswith(".check_jobs") for word in words):
        return CHECKS
    if any(".adapters.pixels." in word for word in words):
        return PIXELS
    return next((word for word in words if word in ROLES), process.name())


def memory_by_role_mb(roots: Sequence[psutil.Process]) -> dict[str, float]:
    """Proportional set size: a page that n processes share counts as 1/n in each."""
    sizes_mb = defaultdict[str, float](float)
    for process in _family(roots):
        try:
            sizes_mb[role_of(process)] += process.memory_full_info().pss / 1e6
        except psutil.Error:  # it has just ended
            continue
    return sizes_mb


class Usage:
    """Samples memory while it watches; CPU time is read on request."""

    def __init__(self, *roots: psutil.Process) -> None:
        self._roots = roots
        self._stop = threading.Event()
        self.peak_mb = 0.0
        self.peak_by_role_mb: dict[str, float] = {}

    def cpu_s(self) -> float:
        """CPU seconds that the workers have used so far."""
        return sum(spent_s for role, spent_s in self.cpu_by_role_s().items() if role in WORKERS)

    def cpu_by_role_s(self) -> dict[str, float]:
        """CPU seconds of each role so far."""
        spent_s = defaultdict[str, float](float)
        for process in _family(self._roots):
            try:
                spent_s[role_of(process)] += sum(process.cpu_times()[:2])
            except psutil.Error:
                continue
        return spent_s

    @contextmanager
    def watching(self) -> Iterator["Usage"]:
        """Sample while the block runs."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            sizes_mb = memory_by_role_mb(self._roots)
            total_mb = sum(sizes_mb.values())
            if total_mb > self.peak_mb:
                self.peak_mb, self.peak_by_role_mb = total_mb, sizes_mb


def _family(roots: Sequence[psutil.Process]) -> list[psutil.Process]:
    found = list(roots)
    for root in roots:
        try:
            found += root.children(recursive=True)
        except psutil.Error:
            continue
    return found
