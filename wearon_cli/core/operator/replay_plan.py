"""What a replay would do, as data and as sentences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from wearon_cli.core.credits import Credit, CreditState
from wearon_cli.core.operator.inputs import InputPicture, InputState
from wearon_cli.core.operator.inspector import SessionReport
from wearon_cli.core.session import Channel, Session, Status, utc_now

if TYPE_CHECKING:
    from wearon_cli.core.contract import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What the operator asks for."""

    force: bool = False  # draw again although a picture exists
    prompt: str | None = None  # instead of the row's own
    model: str | None = None  # instead of the configured ones
    charge: bool = False  # take a credit before anything is generated
    works_here: bool = False  # by this process, not by the workers
    by: str = ""  # who asks
    reason: str = ""
    letter_id: str | None = None  # the dead letter that is replayed
    #: Input pictures of that letter's payload; they replace the row's.
    payload_urls: tuple[str, ...] = ()


class ReplayAction(StrEnum):
    """What a replay does with the picture."""

    FINISH = "finish"  # it is already stored: only the row is completed, at no cost
    DRAW = "draw"  # there is none: one is bought
    REDRAW = "redraw"  # there is one: it is put aside when the new one is stored


#: The cost may be this factor above its estimate. No source: input tokens are not published.
ESTIMATE_MARGIN: Final = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPrice:
    """The estimated cost of one picture."""

    expected_usd: float | None  # of one purchase; None: this model has no price here
    max_purchases: int  # most purchases: a lost or unusable answer is bought again
    #: This process has no image API key, and its workers may make previews instead.
    may_be_preview: bool = False

    @property
    def most_usd(self) -> float | None:
        """An upper bound: the cost may be above its estimate, and calls are repeated."""
        if self.expected_usd is None:
            return None
        return self.expected_usd * ESTIMATE_MARGIN * self.max_purchases


FREE_OF_COST: Final = ReplayPrice(expected_usd=0.0, max_purchases=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A replay that may be run: everything was checked."""

    report: SessionReport
    options: ReplayOptions
    action: ReplayAction
    inputs: Sequence[InputPicture]
    task: "Task"
    price: ReplayPrice

    @property
    def session(self) -> Session:
        return self.report.session

    @property
    def buys(self) -> bool:
        """True when a picture will be bought."""
        return self.action is not ReplayAction.FINISH

    @property
    def replay_id(self) -> str:
        """Names this replay in the ledger and in the timeline."""
        assert self.task.replay is not None  # noqa: S101 - made by `Replayer.plan`
        return self.task.replay.replay_id

    def sentences(self) -> list[str]:
        """The plan as sentences."""
        row = self.session
        age = age_words(utc_now() - row.created_at)
        lines = [f"session {row.session_id} ({row.channel.value}) is {row.status.value}, {age} old"]
        if row.status is Status.FAILED:
            lines.append(f"the shopper read: {row.error_message or '(nothing)'}")
        lines += _picture_words(self)
        lines.append(credit_words(self.report.credit, charge=self.options.charge))
        return lines


_ACTION_WORDS: Final = {
    ReplayAction.FINISH: "its picture is already stored: only the row is completed, at no cost",
    ReplayAction.DRAW: "buys a picture",
    ReplayAction.REDRAW: (
        "buys a new picture; the current one stays until the new one is stored, and if this "
        "fails; `wearon replay-task --undo` restores it"
    ),
}

_STATE_WORDS: Final = {
    CreditState.HELD: "its credit is held",
    CreditState.SPENT: "its credit paid for the current picture",
    CreditState.RETURNED: "its credit was returned",
    CreditState.FREE: "its credit was returned, and a free replay drew the current picture",
    CreditState.CHARGED: "a replay took a credit for the current picture",
    CreditState.OWED: "it failed and its credit was not returned",
    CreditState.OVERAGE: "it was charged outside the credits",
    CreditState.NEVER_TAKEN: "no credit was taken",
}

#: Credits in these states pay for the run, and are refunded if it fails.
PAYING: Final = frozenset({CreditState.HELD, CreditState.OWED})


def credit_words(credit: Credit, *, charge: bool) -> str:
    """The state of the credit and what the replay does about it, in one sentence."""
    state = _STATE_WORDS.get(credit.state, f"the state of its credit is unclear: {credit.reason}")
    if charge:
        return f"{state}; this replay takes a credit before generating and returns it on failure"
    if credit.state in PAYING:
        return f"{state}: it pays for this replay and is returned on failure"
    return f"{state}; this replay takes no credit"


def credit_step(credit: Credit) -> str:
    """What is left to do about the credit of a completed session."""
    if credit.state is CreditState.OWED:
        return "a credit is still owed: `wearon reconcile --fix` returns it"
    if credit.state.needs_a_person:
        return f"its credit needs a person: {credit.reason}"
    return "nothing left to do"


def price_words(price: ReplayPrice) -> str:
    """What a picture costs, for a sentence."""
    if price.expected_usd is None:
        return "its cost is unknown: the model has no price here"
    if not price.expected_usd:
        return "it costs nothing"
    cost = f"it costs about ${price.expected_usd:.2f}, at most ${price.most_usd:.2f} with retries"
    return f"{cost}; nothing if it is a preview" if price.may_be_preview else cost


def _picture_words(plan: Plan) -> list[str]:
    action = _ACTION_WORDS[plan.action]
    if not plan.buys:
        return [action]
    count = len(plan.inputs)
    elsewhere = sum(each.state is InputState.ELSEWHERE for each in plan.inputs)
    words = [
        action,
        price_words(plan.price),
        f"from {count} input picture{'s' if count != 1 else ''}, "
        + (f"{elsewhere} of them on other servers and not checked" if elsewhere else "all stored"),
    ]
    if plan.session.channel is Channel.B2B and count <= 2:
        words.append("a store's row has no accessories: only the person and the garment are sent")
    return words


def age_words(age: timedelta) -> str:
    """An age in a suitable unit."""
    minutes = int(age.total_seconds()) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def at_most_usd(plans: Iterable[Plan]) -> float | None:
    """What these cost at most; None when one has no price."""
    prices = [plan.price.most_usd for plan in plans]
    return None if None in prices else sum(price or 0.0 for price in prices)


def expected_usd(plans: Iterable[Plan]) -> float:
    """About what these cost, those without a price left out."""
    return sum(plan.price.expected_usd or 0.0 for plan in plans)
