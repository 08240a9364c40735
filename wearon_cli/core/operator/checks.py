"""What a check of an outside thing found, in a form to print: the thing, and the hint when red."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was checked."""

    name: str  # the thing: "supabase key", "function refund_credits"
    ok: bool
    detail: str  # what was found, in plain words; never a key or an address
    hint: str = ""  # what to do; empty when nothing is wrong
    warning: bool = False  # fine today, and not for long


def faults(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that want mending."""
    return [finding for finding in findings if not finding.ok]
