"""
The paid part of `wearon doctor --paid`: one small picture from each model.

OpenAI's models are tried through both of its APIs, because its documentation does not say what
works: which models the image tool takes, and whether a purchase can be found again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Final, Literal
from uuid import uuid4

from wearon_cli.core.errors import ConfigError, ModelUnavailable
from wearon_cli.core.image_models import OPENAI, named_model
from wearon_cli.core.image_prices import try_on_usd
from wearon_cli.core.operator.checks import Finding
from wearon_cli.core.operator.trials import Retrieval, Trial
from wearon_cli.core.pictures.ports import PreparedPicture
from wearon_cli.core.pictures.prepare import prepare
from wearon_cli.core.prompt import default_prompt
from wearon_cli.core.providers import TryOnRequest
from wearon_cli.core.settings import Settings
from wearon_cli.wiring.trials import OpenTrials, open_trials

#: The smallest picture that every model draws, at the lowest quality: one to three cents.
SIZE: Final = "1024x1024"
QUALITY: Final = "low"
#: Bundled with the package.
PICTURES: Final = ("person.jpg", "garment_tee.jpg")

type Api = Literal["images", "responses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePurchase:
    """One picture to be bought."""

    name: str  # PROVIDER:MODEL
    expected_usd: float | None
    api: Api | None = None  # OpenAI only: one of its two APIs
    is_configured: bool = True  # jobs use this API

    @property
    def title(self) -> str:
        """Its name in findings."""
        return f"{self.name} ({self.api})" if self.api else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A purchase, and its result."""

    purchase: ProbePurchase
    trial: Trial


def planned(settings: Settings) -> list[ProbePurchase]:
    """
    What a paid probe buys: every configured model; OpenAI's models through both APIs.

    Raises:
        ConfigError: No configured provider has a key.
    """
    apis: tuple[Api, ...] = ("images", "responses")
    found = []
    for name in settings.model_names:
        model = named_model(name)
        if settings.provider_key(model.provider) is None:
            continue  # a failure that the free checks report
        usd = try_on_usd(model, size=SIZE, quality=QUALITY, pictures=len(PICTURES))
        if model.provider != OPENAI:
            found.append(ProbePurchase(name=name, expected_usd=usd))
            continue
        found += [
            ProbePurchase(
                name=name, expected_usd=usd, api=api, is_configured=api == settings.openai_api
            )
            for api in apis
        ]
    if not found:
        raise ConfigError(
            "no image provider has a key, so nothing can be bought",
            hint="set OPENAI_API_KEY or RUNWARE_API_KEY",
        )
    return found


async def paid_probe(settings: Settings, purchases: Sequence[ProbePurchase]) -> list[Probe]:
    """
    Buy them, all at the same time.

    Raises:
        ConfigError: A key is missing.
    """
    groups = await asyncio.gather(
        *(
            _buy_through(api, settings, [each for each in purchases if each.api == api])
            for api in dict.fromkeys(each.api for each in purchases)
        )
    )
    by_purchase = {probe.purchase: probe for group in groups for probe in group}
    return [by_purchase[each] for each in purchases]


async def _buy_through(
    api: Api | None, settings: Settings, purchases: Sequence[ProbePurchase]
) -> list[Probe]:
    changes = {"image_size": SIZE, "image_quality": QUALITY} | ({"openai_api": api} if api else {})
    small = settings.model_copy(update=changes)
    pictures = tuple(await asyncio.to_thread(_pictures))
    async with open_trials(small, [each.name for each in purchases]) as opened:
        return await asyncio.gather(
            *(_buy(opened, n, each, pictures) for n, each in enumerate(purchases))
        )


async def _buy(
    opened: OpenTrials, number: int, purchase: ProbePurchase, pictures: tuple[PreparedPicture, ...]
) -> Probe:
    request = TryOnRequest(
        session_id=f"probe-{uuid4()}",
        pictures=pictures,
        prompt=default_prompt(len(pictures)),
    )
    trial = await opened.trials.try_out(
        purchase.name,
        opened.offers[number],
        request,
        expected_usd=purchase.expected_usd,
        look_again=True,
    )
    return Probe(purchase=purchase, trial=trial)


def _pictures() -> list[PreparedPicture]:
    assets = files("wearon_cli.assets")
    return [prepare(assets.joinpath(name).read_bytes()) for name in PICTURES]


def probe_facts(probe: Probe) -> dict[str, object]:
    """For JSON."""
    purchase, trial = probe.purchase, probe.trial
    return {
        "name": purchase.name,
        "api": purchase.api,
        "is_configured": purchase.is_configured,
        "took_s": round(trial.took_s, 2),
        "cost_usd": trial.cost_usd,
        "cost_is_estimate": trial.picture.usage.is_estimate if trial.picture else None,
        "expected_usd": trial.expected_usd,
        "has_c2pa": trial.marks.has_c2pa,
        "source_type": trial.marks.source_type,
        "keeps_marks": trial.keeps_marks,
        **asdict(trial.retrieval),
        "error_code": trial.error.code if trial.error else None,
    }


# --------------------------------------------------------------------------- findings


def probe_findings(probes: Sequence[Probe]) -> list[Finding]:
    """One per purchase: the picture, its price, its marks, and whether it can be fetched again."""
    return [
        _failed(probe, probes) if probe.trial.error else _generated(probe.purchase, probe.trial)
        for probe in probes
    ]


def _failed(probe: Probe, probes: Sequence[Probe]) -> Finding:
    """A failure if jobs use this API; otherwise a warning."""
    purchase, error = probe.purchase, probe.trial.error
    others_generate = any(
        each.trial.error is None and each.purchase.is_configured for each in probes
    )
    harmless = not purchase.is_configured or (
        isinstance(error, ModelUnavailable) and others_generate
    )
    return Finding(
        name=f"bought {purchase.title}",
        ok=harmless,
        warning=harmless,
        detail=f"no picture after {probe.trial.took_s:.1f} s: {error}",
        hint=error.hint if error else "",
    )


def _generated(purchase: ProbePurchase, trial: Trial) -> Finding:
    seen = (_price(trial), _marks(trial), _retrieval(purchase, trial.retrieval))
    hints = [hint for _, hint in seen if hint]
    words = [f"a picture after {trial.took_s:.1f} s", *(word for word, _ in seen if word)]
    wants_attention = trial.price_differs or not trial.keeps_marks or trial.cost_usd is None
    return Finding(
        name=f"bought {purchase.title}",
        ok=True,
        warning=wants_attention or trial.retrieval.works is False or not trial.marks.any,
        detail="; ".join(words),
        hint="; ".join(hints),
    )


def _price(trial: Trial) -> tuple[str, str]:
    """The result as text, and what to do."""
    usage = trial.picture.usage if trial.picture else None
    if usage is None or usage.cost_usd is None:
        return "its price is neither reported nor known here", "check the provider's bill"
    told = f"${usage.cost_usd:.4f} {'estimated, none was told' if usage.is_estimate else 'told'}"
    if trial.expected_usd is None:
        return told, ""
    hint = "our price estimate is off" if trial.price_differs else ""
    return f"{told}, about ${trial.expected_usd:.4f} expected", hint


def _marks(trial: Trial) -> tuple[str, str]:
    marks = trial.marks
    names = [
        *(["content credentials (C2PA)"] if marks.has_c2pa else []),
        *([f"XMP source type {marks.source_type}"] if marks.source_type else []),
    ]
    if not names:
        return "no marks: neither C2PA nor an XMP source type", ""
    kept = "kept when stored" if trial.keeps_marks else "lost when stored"
    return f"marked by {' and '.join(names)}, {kept}", ""


def _retrieval(purchase: ProbePurchase, again: Retrieval) -> tuple[str, str]:
    looks = {
        "found by its marker while it was being generated": again.found_while_generated,
        "found by its marker afterwards": again.found_after,
        "fetched again by its ticket": again.fetched_again,
    }
    words = [what if works else f"NOT {what}" for what, works in looks.items() if works is not None]
    hint = ""
    if again.works is False and purchase.is_configured:
        hint = "if an answer is lost, its picture may be bought twice"
    elif again.works and not purchase.is_configured:
        hint = "with WEARON_OPENAI_API=responses a lost answer costs nothing"
    return ", ".join(words), hint
