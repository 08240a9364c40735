"""`wearon estimate`: the body in a photo, measured on this machine."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wearon_cli.cli.model_fetch import ensure_model
from wearon_cli.cli.output import Result, describe, note, stdout_console
from wearon_cli.core.body.stated import HEIGHT_RANGE_CM, WEIGHT_RANGE_KG, GarmentKind, Sex
from wearon_cli.core.errors import InputError, PhotoRefused
from wearon_cli.wiring.parts import open_pose_reader

if TYPE_CHECKING:
    from wearon_cli.cli.photo_batch import PhotoSet
    from wearon_cli.core.body.estimate import Estimate, EstimateRequest
    from wearon_cli.core.body.pose import PoseReader
    from wearon_cli.core.settings import Settings


def estimate(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE",
            help="Photo of one person, head to feet. Or several photos, or a folder.",
        ),
    ],
    height: Annotated[
        float | None,
        typer.Option(
            min=HEIGHT_RANGE_CM[0],
            max=HEIGHT_RANGE_CM[1],
            help="Height without shoes, in cm. If not given, 170 cm is assumed.",
        ),
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(
            min=WEIGHT_RANGE_KG[0], max=WEIGHT_RANGE_KG[1], help="Weight in kg. Narrows the bands."
        ),
    ] = None,
    sex: Annotated[Sex | None, typer.Option(help="Narrows the inseam band a little.")] = None,
    side: Annotated[
        Path | None,
        typer.Option(help="Side photo of the same person. Narrows the bands the most."),
    ] = None,
    chart: Annotated[
        str, typer.Option(help="Size chart: default, women, men, or a JSON file.")
    ] = "default",
    garment: Annotated[
        GarmentKind, typer.Option(help="Kind of garment. Decides which girths count.")
    ] = GarmentKind.TOP,
    annotate: Annotated[
        Path | None,
        typer.Option(help="Save the photo with outline, measuring lines and numbers here."),
    ] = None,
) -> Result:
    """
    Measure the body in a photo.

    Prints chest, waist, hip, shoulder and inseam, each with an 80 % band, and the probability of
    each size. The photo must show one person, standing, facing the camera, from head to feet, in
    close-fitting clothes. The photo never leaves this machine.

    Several photos, or a folder, print a table on a terminal and one JSON line per photo in a pipe.
    --side and --annotate then name folders with files of the same names; height, weight and sex
    apply to all.

    The pose model is downloaded on first use (see `wearon model --help`).

    Examples:

      wearon estimate me.jpg --height 178

      wearon estimate me.jpg --side me-from-the-side.jpg --height 178 --annotate measured.jpg

      wearon estimate me.jpg --height 178 --weight 72 --chart men --garment dress

      wearon estimate photos/ --height 170 > measured.jsonl
    """
    from wearon_cli.core.body.estimate import EstimateRequest
    from wearon_cli.core.body.sizes import load_chart

    request = EstimateRequest(
        height_cm=height, weight_kg=weight, sex=sex, chart=load_chart(chart), garment=garment
    )
    return _answer(images, side, annotate, request)


def _answer(
    images: list[Path], side: Path | None, annotate: Path | None, request: "EstimateRequest"
) -> Result:
    from wearon_cli.cli.photo_batch import find_photo_sets, is_batch
    from wearon_cli.core.settings import load_settings

    settings = load_settings()
    photo_sets = find_photo_sets(images, side, annotate)
    ensure_model(settings)
    with open_pose_reader(settings) as reader:
        if is_batch(images):
            return _measure_batch(photo_sets, reader, request, settings)
        return _measure_one(photo_sets[0], reader, request, settings)


def _measure_one(
    photo_set: "PhotoSet", reader: "PoseReader", request: "EstimateRequest", settings: "Settings"
) -> Result:
    from wearon_cli.cli.girth_table import lines_of
    from wearon_cli.cli.photo_batch import measure_set

    try:
        measured = measure_set(photo_set, reader, request, max_px=settings.max_picture_px)
    except PhotoRefused as exc:
        return Result(data={"photo": photo_set.front, "reason": exc.reason}, error=exc)
    for warning in measured.warnings:
        note(warning.text)
    if photo_set.drawing:
        note(f"annotated: {photo_set.drawing}")
    return Result(data=_data(photo_set, measured.to_response()), lines=lines_of(measured))


def _measure_batch(
    photo_sets: "list[PhotoSet]",
    reader: "PoseReader",
    request: "EstimateRequest",
    settings: "Settings",
) -> Result:
    from wearon_cli.cli.photo_batch import measure_set

    answers: list[dict[str, object]] = []
    ends: list[Estimate | InputError] = []
    for photo_set in photo_sets:
        try:
            measured = measure_set(photo_set, reader, request, max_px=settings.max_picture_px)
        except InputError as exc:
            ends.append(exc)
            answers.append(_data(photo_set, {"error": _fault(exc)}))
        else:
            ends.append(measured)
            answers.append(_data(photo_set, measured.to_response()))
    failed = sum("error" in answer for answer in answers)
    return Result(
        data={"photos": answers, "failed": failed},
        lines=_batch_lines(photo_sets, ends, answers),
        error=_some_failed(failed, len(answers)) if failed else None,
    )


def _batch_lines(
    photo_sets: "list[PhotoSet]",
    ends: "list[Estimate | InputError]",
    answers: list[dict[str, object]],
) -> list[object]:
    """A table on a terminal, a line of JSON for each photo in a pipe."""
    if stdout_console().is_terminal:
        from wearon_cli.cli.girth_table import batch_table

        return [batch_table([each.front.name for each in photo_sets], ends)]
    return [json.dumps(answer, default=str) for answer in answers]


def _data(photo_set: "PhotoSet", answer: dict[str, object]) -> dict[str, object]:
    about: dict[str, object] = {"photo": photo_set.front}
    if photo_set.side:
        about["side_photo"] = photo_set.side
    if photo_set.drawing and "error" not in answer:
        about["annotated"] = photo_set.drawing
    return {**about, **answer}


def _fault(exc: InputError) -> dict[str, object]:
    failure = describe(exc)
    reason = exc.reason if isinstance(exc, PhotoRefused) else failure.code
    return {"code": reason, "message": failure.message, "hint": failure.hint}


def _some_failed(failed: int, total: int) -> InputError:
    return InputError(
        f"{failed} of {total} photos could not be measured",
        hint="the output has the reason for each photo",
    )
