"""
A provider as an image generator: one call, with its first available model.

For tests of a provider alone: jobs buy through core.jobs.purchasing.
"""

import time
from collections.abc import Sequence
from typing import Final

from wearon_cli.core.errors import ModelUnavailable
from wearon_cli.core.events import emit
from wearon_cli.core.image_models import image_model
from wearon_cli.core.jobs.events import ImageModelUnavailable
from wearon_cli.core.providers import GeneratedPicture, Provider, TryOnRequest, collected

#: A model that was unavailable is tried again after this time.
GONE_FOR_S: Final = 600.0


class FirstUsable:
    """Draws with the first available model of a provider."""

    def __init__(
        self,
        provider: Provider,
        *,
        models: Sequence[str],
        timeout_s: float,
        gone_for_s: float = GONE_FOR_S,
    ) -> None:
        """
        Args:
            provider: Who draws.
            models: Model ids in order.
            timeout_s: How long a picture is collected.
            gone_for_s: How long a model that was not there is passed over.
        """
        self._provider = provider
        self._models = tuple(models)
        self._timeout_s = timeout_s
        self._gone_for_s = gone_for_s
        self._gone_until_s: dict[str, float] = {}

    async def generate(self, request: TryOnRequest) -> GeneratedPicture:
        """Draw with the first usable model; the next one is asked only if one is unavailable."""
        gone: ModelUnavailable | None = None
        for model in self._candidates(request):
            try:
                return await self._bought(request, model)
            except ModelUnavailable as exc:
                gone = exc
            self._gone_until_s[model] = time.monotonic() + self._gone_for_s
            emit(ImageModelUnavailable(model=model, detail=str(gone)))
        raise gone or ModelUnavailable

    async def _bought(self, request: TryOnRequest, model: str) -> GeneratedPicture:
        marker = await self._provider.prepare(request.session_id)
        answer = await self._provider.submit(request, model=model, marker=marker)
        if isinstance(answer, GeneratedPicture):
            return answer
        return await collected(self._provider, answer, within_s=self._timeout_s)

    def _candidates(self, request: TryOnRequest) -> Sequence[str]:
        """The models to ask, in order: first those that are available and draw this many pictures
        faithfully.
        """
        if request.model is not None:
            return [request.model]
        now_s = time.monotonic()
        there = [m for m in self._models if self._gone_until_s.get(m, 0.0) <= now_s]
        pictures = len(request.pictures)
        provider = self._provider.name
        return sorted(
            there or self._models,
            key=lambda model: image_model(model, provider).best_pictures < pictures,
        )
