"""A comparison of image models: bought concurrently, saved in a folder, shown as a table."""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from rich.table import Table

from wearon_cli.cli.consent import consent
from wearon_cli.cli.output import Result
from wearon_cli.cli.progress import Progress, progress
from wearon_cli.core.errors import InputError, TryOnFailed
from wearon_cli.core.image_models import PREVIEW, named_model
from wearon_cli.core.prompt import default_prompt
from wearon_cli.core.providers import TryOnRequest

if TYPE_CHECKING:
    from wearon_cli.core.operator.trials import Trial
    from wearon_cli.core.operator.try_on import Upload
    from wearon_cli.core.pictures.contact_sheet import Card
    from wearon_cli.core.pictures.marking import SourceType
    from wearon_cli.core.pictures.ports import PreparedPicture
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.trials import OpenTrials

#: Files in the folder besides the pictures.
SHEET: Final = "sheet.jpg"
FACTS: Final = "compare.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareCommand:
    """What was asked for on the command line, checked."""

    paths: tuple[Path, ...]  # person, garment, accessories
    pictures: "tuple[Upload, ...]"  # the same
    names: tuple[str, ...]  # each as PROVIDER:MODEL
    expected_usd: tuple[float | None, ...]  # of each of them
    prompt: str
    out: Path  # a folder that is empty or does not exist yet


async def run(asked: CompareCommand, settings: "Settings", *, yes: bool) -> Result:
    """
    Ask, buy, save, and lay out the results.

    Raises:
        ConsentMissing, Interrupted: It was not confirmed, and nothing was bought.
        ConfigError: A key is missing, or a model cannot draw what is requested.
    """
    from wearon_cli.core.pictures.contact_sheet import contact_sheet  # imports Pillow
    from wearon_cli.runtime.ops.logs import configure_quiet_logs
    from wearon_cli.wiring.trials import open_trials

    configure_quiet_logs(settings, "compare")
    async with open_trials(settings, asked.names) as opened:
        if question := _question(asked):
            await consent(question, yes=yes)
        _make_folder(asked.out)
        with progress("preparing the pictures") as shown:
            pixels, max_px = opened.trials.pixels, settings.max_picture_px
            inputs = [await pixels.prepare(each.data, max_px=max_px) for each in asked.pictures]
            trials = await _bought(asked, opened, inputs, shown)
            cards = _input_cards(inputs)
            cards += [await _card(trial, opened, max_px=max_px) for trial in trials]
        sheet = contact_sheet(cards, title="Try-on comparison", subtitle=_summary(trials))
        marked = await opened.trials.marking.mark(sheet, answer=sheet, source_type=_made_of(trials))
    (asked.out / SHEET).write_bytes(marked.jpeg)
    data = _facts(asked, trials)
    (asked.out / FACTS).write_text(f"{json.dumps(data, indent=2)}\n", encoding="utf-8")
    any_succeeded = any(trial.error is None for trial in trials)
    return Result(
        data=data,
        lines=[_table(trials), "", f"{_summary(trials)}; side by side in {asked.out / SHEET}"],
        error=None
        if any_succeeded
        else TryOnFailed("no model returned a picture", hint="see the reasons in the table"),
    )


def price_question(what: str, names: Sequence[str], expected_usd: Sequence[float | None]) -> str:
    """
    Ask whether pictures may be bought, with their prices.

    Args:
        what: What will be done: the question up to the price.
        names: The models' names.
        expected_usd: The price of each; None: not known here.
    """
    told = [
        f"{name} {'price unknown' if usd is None else f'${usd:.3f}'}"
        for name, usd in zip(names, expected_usd, strict=True)
    ]
    least = "more than" if None in expected_usd else "about"
    total = sum(usd or 0.0 for usd in expected_usd)
    return f"{what} for {least} ${total:.2f} ({', '.join(told)})?"


def _question(asked: CompareCommand) -> str:
    """Empty when nothing is bought."""
    bought = [
        (name, usd)
        for name, usd in zip(asked.names, asked.expected_usd, strict=True)
        if name != PREVIEW
    ]
    if not bought:
        return ""
    names, prices = zip(*bought, strict=True)
    providers = " and ".join(dict.fromkeys(named_model(name).provider for name in names))
    pictures = f"{len(names)} picture{'s' * (len(names) != 1)}"
    return price_question(f"send the photos to {providers} and buy {pictures}", names, prices)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FACTS).write_text("{}\n", encoding="utf-8")
    except OSError as exc:
        raise InputError(f"cannot write to {folder}: {exc.strerror}") from exc


async def _bought(
    asked: CompareCommand, opened: "OpenTrials", inputs: "list[PreparedPicture]", shown: Progress
) -> "list[Trial]":
    """One picture of each model, all at the same time; each is saved as soon as it arrives."""

    async def one(number: int) -> "Trial":
        request = TryOnRequest(
            session_id=f"compare-{uuid4()}",
            pictures=tuple(inputs),
            prompt=asked.prompt or default_prompt(len(inputs)),
        )
        trial = await opened.trials.try_out(
            asked.names[number],
            opened.offers[number],
            request,
            expected_usd=asked.expected_usd[number],
        )
        if trial.jpeg:
            _picture_path(asked, trial).write_bytes(trial.jpeg)
        shown.say(f"{trial.name}: {'no picture' if trial.error else f'{trial.took_s:.1f} s'}")
        return trial

    shown.say(f"generating with {', '.join(asked.names)}")
    return await asyncio.gather(*map(one, range(len(asked.names))))


def _picture_path(asked: CompareCommand, trial: "Trial") -> Path:
    return asked.out / f"{re.sub(r'[^A-Za-z0-9.]+', '-', trial.name)}.jpg"


def _input_cards(inputs: "Sequence[PreparedPicture]") -> "list[Card]":
    from wearon_cli.core.pictures.contact_sheet import Card

    names = ["person", "garment", *(f"accessory {n}" for n in range(1, len(inputs) - 1))]
    return [
        Card(name=name, facts="unchanged", jpeg=each.jpeg)
        for name, each in zip(names, inputs, strict=True)
    ]


async def _card(trial: "Trial", opened: "OpenTrials", *, max_px: int) -> "Card":
    from wearon_cli.core.pictures.contact_sheet import Card

    facts = " · ".join((f"{trial.took_s:.1f} s", _cost_words(trial)))
    if trial.error is not None:
        return Card(name=trial.name, facts=facts, reason=str(trial.error))
    # Decoded here from the output of a pixel process.
    shown = await opened.trials.pixels.prepare(trial.jpeg, max_px=max_px)
    return Card(name=trial.name, facts=facts, jpeg=shown.jpeg)


def _made_of(trials: "Sequence[Trial]") -> "SourceType":
    from wearon_cli.core.pictures.marking import SourceType

    pictures = [trial.picture for trial in trials if trial.picture]
    is_generated = any(not picture.usage.is_preview for picture in pictures)
    return SourceType.COLLAGE if is_generated else SourceType.COMPOSITE


def _cost_words(trial: "Trial") -> str:
    usage = trial.picture.usage if trial.picture else None
    if usage is None:
        return "no price reported"
    if usage.cost_usd is None:
        return "price unknown"
    if usage.is_preview:
        return "free, a composite"
    return f"{'about ' if usage.is_estimate else ''}${usage.cost_usd:.4f}"


def _summary(trials: "Sequence[Trial]") -> str:
    succeeded = sum(trial.error is None for trial in trials)
    total_usd = sum(trial.cost_usd or 0.0 for trial in trials)
    at = datetime.now(UTC)
    when = f"{at.day} {at:%B %Y, %H:%M} UTC"
    return f"{when} · {succeeded} of {len(trials)} generated · ${total_usd:.4f}"


def _table(trials: "Sequence[Trial]") -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in ("model", "time", "price"):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for trial in trials:
        result = str(trial.error) if trial.error else "generated"
        table.add_row(trial.name, f"{trial.took_s:.1f} s", _cost_words(trial), result)
    return table


def _facts(asked: CompareCommand, trials: "Sequence[Trial]") -> dict[str, object]:
    return {
        "inputs": [str(path) for path in asked.paths],
        "sheet": str(asked.out / SHEET),
        "results": [_result(asked, trial) for trial in trials],
        "total_usd": round(sum(trial.cost_usd or 0.0 for trial in trials), 6),
    }


def _result(asked: CompareCommand, trial: "Trial") -> dict[str, object]:
    model, error = named_model(trial.name), trial.error
    usage = trial.picture.usage if trial.picture else None
    return {
        "name": trial.name,
        "provider": model.provider,
        "model": model.model_id,
        "picture": str(_picture_path(asked, trial)) if trial.jpeg else None,
        "took_s": round(trial.took_s, 2),
        "cost_usd": None if trial.cost_usd is None else round(trial.cost_usd, 6),
        "cost_is_estimate": usage.is_estimate if usage else None,
        "expected_usd": trial.expected_usd,
        "is_preview": usage.is_preview if usage else None,
        "has_c2pa": trial.marks.has_c2pa,
        "source_type": trial.marks.source_type,
        "marked_by": trial.marked_by,
        "error": {"code": error.code, "message": str(error), "hint": error.hint} if error else None,
    }
