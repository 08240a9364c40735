"""`wearon compare`: one try-on through several providers and models, side by side."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wearon_cli.cli.comparison import CompareCommand, run
from wearon_cli.cli.consent import YesOption
from wearon_cli.cli.model_fetch import ensure_model
from wearon_cli.cli.options import LocalOption
from wearon_cli.cli.output import Result
from wearon_cli.cli.uploads import read_uploads
from wearon_cli.core.errors import ConfigError, InputError
from wearon_cli.core.image_models import PREVIEW, named_model
from wearon_cli.core.image_prices import try_on_usd

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings

#: Most models compared at once: each picture costs money.
MOST_MODELS: Final = 16


def compare(
    person: Annotated[Path, typer.Argument(help="Photo of the person: JPEG, PNG or WebP.")],
    garments: Annotated[
        list[Path], typer.Argument(help="Photo of the garment, then up to 8 of accessories.")
    ],
    models: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="MODELS",
            help="Models to compare, comma separated: PROVIDER:MODEL or preview. Default: all "
            "configured models.",
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="New or empty folder for the results. Default: ./compare-<time>."),
    ] = None,
    prompt: Annotated[
        str, typer.Option(help="Prompt for the image models, instead of the default.")
    ] = "",
    local: LocalOption = False,
    yes: YesOption = False,
) -> Result:
    """
    Draw one try-on with several models and show the pictures side by side.

    Sends the same pictures to every model at once and saves the results to a folder: each picture
    as a job would store it, with the marks of AI pictures; sheet.jpg with the inputs and all
    results (with model, time and price, or the error); and compare.json with the same data.

    Creates no session and takes no credit. The pictures cost money, so it shows the price and asks
    first; without a terminal it needs --yes. With --local and no key it makes a preview, a
    composite that costs nothing.

    Exit codes: 0 at least one picture was generated, 7 none was.

      wearon compare me.jpg shirt.png --with openai:gpt-image-2.6-flare,runware:p-image

      wearon compare me.jpg shirt.png --local
    """
    from wearon_cli.core.settings import load_settings

    settings = load_settings()
    if local and not settings.is_local:
        from wearon_cli.runtime.all.local_stack import DEFAULT_DATA_DIR

        settings = settings.model_copy(update={"local_dir": DEFAULT_DATA_DIR})
    names = _names(models or ",".join(settings.model_names))
    if PREVIEW in names:
        ensure_model(settings)
    paths = (person, *garments)
    asked = CompareCommand(
        paths=paths,
        pictures=read_uploads(paths, settings),
        names=names,
        expected_usd=tuple(_price(name, len(paths), settings) for name in names),
        prompt=prompt,
        out=_free_folder(out),
    )
    return asyncio.run(run(asked, settings, yes=yes))


def _names(text: str) -> tuple[str, ...]:
    """The names, without duplicates."""
    found: dict[str, str] = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        try:
            model = named_model(each)
        except ConfigError as exc:
            raise InputError(f"--with: {exc}", hint=exc.hint) from exc
        name = each if ":" in each else f"{model.provider}:{each}"
        found.setdefault(model.key, PREVIEW if model.provider == PREVIEW else name)
    if not found or len(found) > MOST_MODELS:
        raise InputError(
            f"{len(found)} models to compare", hint=f"use 1 to {MOST_MODELS} models with --with"
        )
    return tuple(found.values())


def _price(name: str, pictures: int, settings: "Settings") -> float | None:
    return try_on_usd(
        named_model(name),
        size=settings.image_size,
        quality=settings.image_quality,
        pictures=pictures,
    )


def _free_folder(out: Path | None) -> Path:
    folder = out or Path(f"compare-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file", hint="use a folder: --out FOLDER")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty", hint="use a new folder: --out FOLDER")
    return folder
