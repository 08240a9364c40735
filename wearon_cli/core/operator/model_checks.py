"""
The state of the configured image models, as findings.

A retired model is not a failure while another one serves: jobs continue, and a deployment on that
day is not rolled back. It is a failure when an order of providers has no model left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from wearon_cli.core.image_models import OPENAI, is_known
from wearon_cli.core.image_prices import closing, try_on_usd
from wearon_cli.core.image_rules import ImageModel
from wearon_cli.core.operator.checks import Finding

#: A model that is retired within this time gets a warning.
NOTICE_DAYS: Final = 60
#: The variable that names the models of a provider.
_LISTS: Final = {OPENAI: "OPENAI_IMAGE_MODELS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLook:
    """What its provider says about one configured model."""

    name: str  # as in settings, PROVIDER:MODEL
    model: ImageModel
    is_there: bool | None  # None: its provider cannot be asked without buying
    closes: date | None = None  # as the provider reports it; None: it reports none

    @property
    def closing_day(self) -> date | None:
        return self.closes or self.model.shuts_down


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The requested picture."""

    size: str
    quality: str

    def price(self, model: ImageModel) -> str:
        """The approximate cost of a try-on, as text."""
        usd = try_on_usd(model, size=self.size, quality=self.quality)
        return "at a price unknown here" if usd is None else f"about ${usd:.3f} a try-on"


def model_findings(looks: Sequence[ModelLook], *, shape: Shape, today: date) -> list[Finding]:
    """One finding for each configured model, in order."""
    return [
        _there(look, looks, shape, today)
        if look.is_there is not False
        else _gone(look, looks, today)
        for look in looks
    ]


def order_findings(
    orders: Mapping[str, Sequence[str]], looks: Sequence[ModelLook]
) -> list[Finding]:
    """
    A finding for each order of providers that has no model left.

    Args:
        orders: By the words for whose it is; providers that could not be asked left out.
        looks: At all their models.
    """
    return [
        Finding(
            name="image models",
            ok=False,
            detail=f"{whose}: none of the models is available",
            hint="use a model that is available to this account",
        )
        for whose, order in orders.items()
        if order and not any(look.model.provider in order for look in looks if _serves(look))
    ]


def _serves(look: ModelLook) -> bool:
    return look.is_there is not False


def _gone(look: ModelLook, looks: Sequence[ModelLook], today: date) -> Finding:
    day = look.closing_day
    detail = (
        f"closed on {day}"
        if day and day <= today
        else "does not exist, or is not available to this account"
    )
    next_one = next((each for each in looks if _serves(each)), None)
    name = f"model {look.name}"
    if next_one is None:
        hint = f"use an available one in {_list_of(look)}"
        return Finding(name=name, ok=False, detail=detail, hint=hint)
    # Retired as announced, and after the one that serves: nothing left to do.
    expected = bool(day and day <= today) and looks.index(next_one) < looks.index(look)
    return Finding(
        name=name,
        ok=True,
        warning=not expected,
        detail=f"{detail}; {next_one.name} is used",
        hint="" if expected else f"remove it from {_list_of(look)}",
    )


def _there(look: ModelLook, looks: Sequence[ModelLook], shape: Shape, today: date) -> Finding:
    name, day = f"model {look.name}", look.closing_day
    if day is not None and (day - today).days <= NOTICE_DAYS:
        detail, hint = _closes(look, day, looks, shape, today)
        return Finding(name=name, ok=True, warning=bool(hint), detail=detail, hint=hint)
    if not is_known(look.model.model_id, look.model.provider):
        return Finding(
            name=name,
            ok=True,
            warning=True,
            detail="its price is unknown here, so costs are not estimated",
            hint="upgrade wearon-cli",
        )
    found = "can be used" if look.is_there else "whether it works can only be tested by a purchase"
    return Finding(name=name, ok=True, detail=f"{found}; {shape.price(look.model)}")


def _closes(
    look: ModelLook, day: date, looks: Sequence[ModelLook], shape: Shape, today: date
) -> tuple[str, str]:
    """The day, the replacement and its price, and what to do, if anything."""
    staying = [each for each in looks if _serves(each) and each.closing_day is None]
    told = closing(
        look.model,
        closes=day,
        today=today,
        size=shape.size,
        quality=shape.quality,
        then=staying[0].name if staying else None,
    )
    days = told.days_left
    when = f"closes on {day}, in {days} day{'s' * (days != 1)}" if days > 0 else f"closed on {day}"
    detail = f"{when}; {shape.price(look.model)}. Then {told.successor}"
    if told.usd is not None and told.successor_usd is not None:
        more = told.successor_usd - told.usd
        word = "more" if more > 0 else "less"
        detail += f", about ${told.successor_usd:.3f}: ${abs(more):.3f} {word}"
    if not staying:
        return detail, f"add {told.successor} before it: {told.reason}"
    if looks.index(staying[0]) < looks.index(look):
        return detail, ""  # that one serves already
    return detail, f"add {staying[0].name} before it"


def _list_of(look: ModelLook) -> str:
    return _LISTS.get(look.model.provider, "WEARON_RUNWARE_MODELS")
