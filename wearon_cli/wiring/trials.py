"""Builds the trials, which buy pictures outside sessions, for `wearon compare` and `wearon doctor
--paid`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from wearon_cli.adapters.pixels.processes import PixelProcesses
from wearon_cli.core.image_models import named_model, require_models
from wearon_cli.core.jobs.offers import Offer
from wearon_cli.core.operator.trials import Trials
from wearon_cli.core.settings import Settings
from wearon_cli.wiring.parts import open_fetcher
from wearon_cli.wiring.provenance import open_marking
from wearon_cli.wiring.providers import open_providers


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTrials:
    """Trials, and the requested offers in order."""

    trials: Trials
    offers: tuple[Offer, ...]


@asynccontextmanager
async def open_trials(settings: Settings, names: Sequence[str]) -> AsyncIterator[OpenTrials]:
    """
    Trials of these models, configured or not. Sends no request yet.

    Args:
        settings: Keys, size and quality.
        names: PROVIDER:MODEL, each.

    Raises:
        ConfigError: A name is not a model's, a provider has no key, a model cannot draw this size
            and quality, or the C2PA certificate cannot sign.
    """
    models = tuple(map(named_model, names))
    require_models(models, size=settings.image_size, quality=settings.image_quality)
    async with AsyncExitStack() as stack:
        fetcher = await open_fetcher(stack, settings)
        needed = dict.fromkeys(model.provider for model in models)
        providers = open_providers(stack, settings, fetcher, needed)
        pixels = PixelProcesses()
        stack.push_async_callback(pixels.aclose)
        yield OpenTrials(
            trials=Trials(
                pixels=pixels,
                marking=open_marking(settings),
                within_s=settings.openai_timeout_s,
            ),
            offers=tuple(Offer(provider=providers[m.provider], model=m) for m in models),
        )
