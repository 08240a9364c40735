"""`wearon check`: what a worker's checks find in some pictures."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wearon_cli.cli.output import Result, note

if TYPE_CHECKING:
    from wearon_cli.core.checks.findings import PictureFinding, Report


def check(
    photo: Annotated[Path, typer.Argument(help="The photo of the person.")],
    garment: Annotated[Path | None, typer.Argument(help="The picture of the garment.")] = None,
    result: Annotated[
        Path | None, typer.Option(help="Also check this picture generated from them.")
    ] = None,
    annotate: Annotated[
        Path | None, typer.Option(help="Save the pictures with the findings drawn on them here.")
    ] = None,
) -> Result:
    """
    Check input photos and results as a worker does.

    Prints what the checks WEARON_CHECK_INPUTS and WEARON_CHECK_RESULTS would find; docs/checks.md
    explains the findings. Exits with 4 if a worker with these settings would refuse a photo. Buys
    nothing and works offline, but downloads the pose model on first use (see `wearon model
    --help`).

      wearon check me.jpg shirt.jpg

      wearon check me.jpg shirt.jpg --result result.jpg --annotate seen.jpg
    """
    from wearon_cli.adapters.pose.check_jobs import finder
    from wearon_cli.cli.checked_files import checked_files, write_drawing
    from wearon_cli.cli.model_fetch import ensure_model
    from wearon_cli.core.checks.findings import refusal
    from wearon_cli.core.settings import load_settings

    settings = load_settings()
    model = ensure_model(settings)
    with closing(finder(model)):
        checked = checked_files(photo, garment, result, model=model, max_px=settings.max_picture_px)
        refused = checked.inputs.certain if settings.check_inputs == "refuse" else ()
        lines = _lines("inputs", checked.inputs, refused)
        if checked.result is not None:
            lines += _lines("result", checked.result)
        if annotate is not None:
            write_drawing(annotate, checked, lines, model)
            note(f"annotated: {annotate}")
    return Result(
        data={
            "inputs": _facts(checked.inputs, refused),
            "result": _facts(checked.result) if checked.result else None,
            "annotated": annotate,
        },
        lines=lines,
        error=refusal(refused) if refused else None,
    )


def _lines(what: str, report: "Report", refused: "Sequence[PictureFinding]" = ()) -> list[str]:
    from wearon_cli.core.checks.findings import WORDS

    said = [
        f"{what}: {finding.value}: {WORDS[finding][0]}{' (refused)' if finding in refused else ''}"
        for finding in report.findings
    ]
    if report.not_checked:
        said.append(f"{what}: not checked: {report.not_checked}")
    return said or [f"{what}: ok"]


def _facts(
    report: "Report", refused: "Sequence[PictureFinding]" = ()
) -> dict[str, Sequence[str] | str | None]:
    return {
        "findings": [each.value for each in report.findings],
        "refused": [each.value for each in refused],
        "not_checked": report.not_checked,
    }
