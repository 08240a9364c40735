"""The result of one check, ready to print, with a hint when it failed."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    name: str  # the thing: "supabase key", "function refund_credits"
    ok: bool
    detail: str  # what was found, in plain words; never a key or an address
    hint: str = ""  # what to do; empty when nothing is wrong
    warning: bool = False  # passes now, but will soon fail


def faults(findings: Iterable[Finding]) -> list[Finding]:
    """The failed findings."""
    return [finding for finding in findings if not finding.ok]
