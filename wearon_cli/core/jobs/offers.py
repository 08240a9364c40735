"""Which provider and model is asked for a picture: the configured ones in order, and per store."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from wearon_cli.core.errors import ConfigError, RequestRejected
from wearon_cli.core.image_models import ImageModel, image_model, read_model_name
from wearon_cli.core.image_prices import try_on_usd
from wearon_cli.core.providers import Provider

#: A model that was not there is asked for again after this time.
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
    _gone_until_s: dict[str, float] = field(default_factory=dict)

    def offers_for(self, owner_id: str, *, pictures: int) -> Sequence[Offer]:
        """
        The offers to ask, in order: those whose model is there, and takes all pictures, first.

        Args:
            owner_id: The merchant store or user; a store may have an order of its own.
            pictures: Input pictures.
        """
        offers = self.per_store.get(owner_id, self.offers)
        now_s = time.monotonic()
        there = [o for o in offers if self._gone_until_s.get(o.model.key, 0.0) <= now_s]
        return sorted(there or offers, key=lambda offer: offer.model.max_pictures < pictures)

    def wished(self, name: str) -> Offer:
        """
        The offer that an operator named, as PROVIDER:MODEL.

        Raises:
            RequestRejected: There is no such provider here.
        """
        try:
            wanted = read_model_name(name)
        except ConfigError as exc:
            raise RequestRejected(str(exc)) from exc
        provider = self.providers.get(wanted.provider)
        if provider is None:
            raise RequestRejected(f"the provider {wanted.provider} is not configured")
        return Offer(provider=provider, model=image_model(wanted.model_id, wanted.provider))

    def pass_over(self, offer: Offer) -> None:
        """Its model is not there: ask the others first, for a while."""
        self._gone_until_s[offer.model.key] = time.monotonic() + GONE_FOR_S


def expected_usd(offer: Offer, *, size: str, quality: str, pictures: int) -> float:
    """What a purchase is booked at when its bill is lost; 0.0 for a model without a price."""
    return try_on_usd(offer.model, size=size, quality=quality, pictures=pictures) or 0.0
