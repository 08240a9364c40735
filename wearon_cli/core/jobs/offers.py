"""Which provider and model draws a picture: the configured ones in order, also per store."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from wearon_cli.core.errors import ConfigError, RequestRejected
from wearon_cli.core.image_models import named_model
from wearon_cli.core.image_prices import try_on_usd
from wearon_cli.core.image_rules import ImageModel
from wearon_cli.core.providers import Provider

#: A model that was unavailable is tried again after this time.
GONE_FOR_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One provider and model that may draw a picture."""

    provider: Provider
    model: ImageModel

    @property
    def model_id(self) -> str:
        return self.model.model_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Every provider of this process, and the order in which they are asked."""

    providers: Mapping[str, Provider]
    offers: tuple[Offer, ...]
    per_store: Mapping[str, tuple[Offer, ...]] = field(default_factory=dict)
    gone_for_s: float = GONE_FOR_S
    _gone_until_s: dict[str, float] = field(default_factory=dict)

    def offers_for(self, owner_id: str, *, pictures: int) -> Sequence[Offer]:
        """
        The offers to ask, in order: available models that accept this many pictures; last those
        that draw some of them less faithfully. If none fits, all of them: each says why not.

        Args:
            owner_id: The merchant store or user; a store may have an order of its own.
            pictures: Input pictures.
        """
        offers = self.per_store.get(owner_id, self.offers)
        taking = [offer for offer in offers if offer.model.takes(pictures)]
        there = [offer for offer in taking if not self._is_gone(offer)]
        return sorted(
            there or taking or offers, key=lambda offer: offer.model.best_pictures < pictures
        )

    def most_pictures(self, owner_id: str, *, model: str | None = None) -> int:
        """
        The most input pictures that an offer takes.

        Args:
            owner_id: As for `offers_for`.
            model: The offer that an operator named; None: all of them.

        Raises:
            RequestRejected: As `wished`.
        """
        if model is not None:
            return self.wished(model).model.max_pictures
        offers = self.per_store.get(owner_id, self.offers)
        return max(offer.model.max_pictures for offer in offers)

    def wished(self, name: str) -> Offer:
        """
        The offer that an operator named, as PROVIDER:MODEL.

        Raises:
            RequestRejected: There is no such provider here.
        """
        try:
            model = named_model(name)
        except ConfigError as exc:
            raise RequestRejected(str(exc)) from exc
        provider = self.providers.get(model.provider)
        if provider is None:
            raise RequestRejected(f"the provider {model.provider} is not configured")
        return Offer(provider=provider, model=model)

    def pass_over(self, offer: Offer) -> None:
        """Its model is unavailable: for a while, ask the others first."""
        self._gone_until_s[offer.model.key] = time.monotonic() + self.gone_for_s

    def has_model_of(self, provider: Provider) -> bool:
        """Whether any configured model of this provider may be available."""
        orders = (self.offers, *self.per_store.values())
        offers = (offer for order in orders for offer in order if offer.provider is provider)
        return any(not self._is_gone(offer) for offer in offers)

    def _is_gone(self, offer: Offer) -> bool:
        return self._gone_until_s.get(offer.model.key, 0.0) > time.monotonic()


def expected_usd(offer: Offer, *, size: str, quality: str, pictures: int) -> float:
    """The cost recorded for a lost purchase; 0.0 for a model without a price."""
    return try_on_usd(offer.model, size=size, quality=quality, pictures=pictures) or 0.0
