"""`wearon estimate`: the body in a photo, measured on this machine."""

from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from wearon_cli.adapters import pose_model
from wearon_cli.core.body.estimate import (
    ASSUMED_HEIGHT_CM,
    HEIGHT_RANGE_CM,
    WEIGHT_RANGE_KG,
    Estimate,
    EstimateRequest,
)
from wearon_cli.core.body.estimate import (
    estimate as measure,
)
from wearon_cli.core.body.girths import MEASURES, Sex
from wearon_cli.core.body.photo import read_photo
from wearon_cli.core.body.sizes import Garment, load_chart
from wearon_cli.core.errors import InputError, PhotoRefused, PictureProblem
from wearon_cli.core.settings import Settings, load_settings
from wearon_cli.output import Result, note
from wearon_cli.wiring import open_pose_reader

#: Characters of a bar that stands for certainty.
BAR_WIDTH: Final = 30


def estimate(
    image: Annotated[Path, typer.Argument(help="A photo of one person, from head to feet.")],
    height: Annotated[
        float | None,
        typer.Option(
            min=HEIGHT_RANGE_CM[0],
            max=HEIGHT_RANGE_CM[1],
            help="Height without shoes, in cm. Without it 170 cm is assumed.",
        ),
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(
            min=WEIGHT_RANGE_KG[0],
            max=WEIGHT_RANGE_KG[1],
            help="Weight in kg. Narrows the bands most.",
        ),
    ] = None,
    sex: Annotated[Sex | None, typer.Option(help="Narrows the bands a little.")] = None,
    chart: Annotated[
        str, typer.Option(help="Size chart: default, women, men, or a JSON file.")
    ] = "default",
    garment: Annotated[
        Garment, typer.Option(help="What is to be worn: decides which girths count.")
    ] = Garment.TOP,
) -> Result:
    """
    Measure the body in a photo.

    Prints chest, waist, hip, shoulder and inseam with the band in which each lies in four cases of
    five, and the odds of each size. The photo shows one person, standing, facing the camera, from
    head to feet, in close-fitting clothes. Nothing leaves this machine.

    The pose model is fetched when it is missing (see `wearon model --help`).

    Examples:

      wearon estimate me.jpg --height 178

      wearon estimate me.jpg --height 178 --weight 72 --chart men --garment dress
    """
    settings = load_settings()
    request = EstimateRequest(
        height_cm=height, weight_kg=weight, sex=sex, chart=load_chart(chart), garment=garment
    )
    front = _photo(image, settings)
    _ensure_model(settings)
    with open_pose_reader(settings) as reader:
        try:
            measured = measure(front, reader, request)
        except PhotoRefused as exc:
            raise PhotoRefused(f"{image}: {exc}", hint=exc.hint, reason=exc.reason) from exc
    for warning in measured.warnings:
        note(warning.text)
    return Result(data={"photo": image, **measured.to_response()}, lines=_lines(measured))


def _photo(path: Path, settings: Settings) -> NDArray[np.uint8]:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise InputError(f"{path} cannot be read: {exc.strerror}") from exc
    try:
        return read_photo(data, max_px=settings.max_picture_px)
    except PictureProblem as exc:
        raise type(exc)(f"{path}: {exc}", hint=exc.hint) from exc


def _ensure_model(settings: Settings) -> None:
    if not settings.pose_model and not pose_model.is_bundle(pose_model.model_path(settings)):
        note("fetching the pose model's parts, once (36 MB) ...")
        pose_model.pull_model(settings)


def _lines(measured: Estimate) -> list[object]:
    return [_girths(measured), "", *_sizes(measured)]


def _girths(measured: Estimate) -> Table:
    known = measured.request.height_cm
    height = f"height {known:g} cm" if known else f"height assumed: {ASSUMED_HEIGHT_CM:g} cm"
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    table.add_row("", "cm", f"80 % band   ({height})")
    for name in MEASURES:
        low, high = measured.girths.band(name)
        table.add_row(name, f"{measured.girths.value(name):.0f}", f"{low:.0f} to {high:.0f}")
    return table


def _sizes(measured: Estimate) -> list[str]:
    odds = measured.odds
    widest = max(len(size) for size in odds.odds)
    bars = [
        f"{'>' if size == odds.recommended else ' '} {size:<{widest}}  "
        f"{'#' * round(p * BAR_WIDTH):<{BAR_WIDTH}} {p:4.0%}"
        for size, p in odds.odds.items()
    ]
    run = odds.lower if odds.lower == odds.upper else f"{odds.lower} to {odds.upper}"
    chart, garment = measured.request.chart.name, measured.request.garment.value
    return [
        f"size {odds.recommended}, or {run} with 80 %   (chart {chart}, {garment})",
        "",
        *bars,
    ]
