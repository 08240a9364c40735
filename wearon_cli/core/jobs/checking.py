"""
Checks the pictures of a job before money is spent, and the generated one. Findings are logged and
acted on.

A check that cannot be done never costs a picture or a job: it is logged as not checked.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from wearon_cli.core.checks.findings import SUSPECT, PictureFinding, Report, refusal
from wearon_cli.core.checks.ports import PictureChecks
from wearon_cli.core.errors import QueueUnavailable
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.events import PictureNotChecked, PictureSuspect
from wearon_cli.core.jobs.journal import Claim, Journal
from wearon_cli.core.providers import TryOnRequest
from wearon_cli.core.settings import Settings

#: Name of the timeline event for a check that was not done.
NOT_CHECKED: Final = "picture_not_checked"
#: Why a generated picture was not checked: the job's photos could not be fetched once more.
INPUTS_GONE: Final = "inputs_gone"
#: Why it was not checked: the worker may die of the check.
TOO_MANY_DEATHS: Final = "too_many_deaths"


class Stage(StrEnum):
    """Which pictures were checked."""

    INPUTS = "inputs"
    RESULT = "result"


class CheckAction(StrEnum):
    """What was done about a suspect picture."""

    FLAGGED = "flagged"  # only logged
    REFUSED = "refused"  # nothing is bought, the credit is refunded
    BOUGHT_AGAIN = "bought_again"  # one more was bought
    FAILED = "failed"  # not delivered, the credit is refunded


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedInputs:
    """A request, and who was found in its photo of the person."""

    request: TryOnRequest
    seen: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Checks pictures as the settings say. One instance serves all jobs of a process."""

    checks: PictureChecks
    journal: Journal
    settings: Settings

    async def inputs(self, claim: Claim, request: TryOnRequest) -> CheckedInputs:
        """
        Check the pictures of a job before money is spent.

        Raises:
            PhotoRefused: They are certainly unusable, and the settings say to refuse such photos.
        """
        mode = self.settings.check_inputs
        if mode == "off":
            return CheckedInputs(request=request)
        report = await self.checks.inputs([each.small for each in request.pictures])
        if report.not_checked is not None:
            await self.tell_not_checked(claim, Stage.INPUTS, report.not_checked)
        refused = report.certain if mode == "refuse" else ()
        if report.findings:
            action = CheckAction.REFUSED if refused else CheckAction.FLAGGED
            await self.tell(claim, Stage.INPUTS, report.findings, action)
        if refused:
            raise refusal(refused)
        return CheckedInputs(request=request, seen=report.seen)

    async def result(
        self, claim: Claim, jpeg: bytes, inputs: CheckedInputs | None
    ) -> tuple[PictureFinding, ...]:
        """
        Find what is wrong with a generated picture; nothing is logged yet.

        Args:
            claim: The job.
            jpeg: The picture, verified, or its small copy.
            inputs: What it was generated from; None: no longer available.
        """
        if inputs is None:
            report = Report(not_checked=INPUTS_GONE)
        else:
            person, *others = inputs.request.pictures
            report = await self.checks.result(
                jpeg,
                person=person.small,
                garment=others[0].small if others else None,
                seen=inputs.seen,
            )
        if report.not_checked is not None:
            await self.tell_not_checked(claim, Stage.RESULT, report.not_checked)
        return report.findings

    async def tell(
        self, claim: Claim, stage: Stage, findings: Sequence[PictureFinding], action: CheckAction
    ) -> None:
        """Log the findings, and write them into the session's timeline."""
        words = emit_suspect(stage, findings, action)
        with suppress(QueueUnavailable):
            await self.journal.note(
                claim.session_id,
                SUSPECT,
                stage=stage.value,
                findings=words,
                action=action.value,
            )

    async def tell_not_checked(self, claim: Claim, stage: Stage, reason: str) -> None:
        """Log that a picture was not checked, and write it into the session's timeline."""
        emit(PictureNotChecked(stage=stage.value, reason=reason))
        with suppress(QueueUnavailable):
            await self.journal.note(claim.session_id, NOT_CHECKED, stage=stage.value, reason=reason)


def emit_suspect(stage: Stage, findings: Sequence[PictureFinding], action: CheckAction) -> str:
    """Log the findings; returns them, comma separated."""
    words = ",".join(findings)
    emit(PictureSuspect(stage=stage.value, findings=words, action=action.value))
    return words


def better(first: Sequence[PictureFinding], second: Sequence[PictureFinding]) -> bool:
    """Whether to keep the second of two generated pictures: unless it is worse than the first."""
    order = list(PictureFinding)  # the worst findings come first

    def place(findings: Sequence[PictureFinding]) -> int:
        return min(map(order.index, findings), default=len(order))

    return place(second) >= place(first)
