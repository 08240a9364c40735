"""Finds who pays for a try-on by hand: looked up by name, checked, and shown before the credit is
taken.
"""

from dataclasses import dataclass
from typing import Final

from wearon_cli.core.errors import InputError
from wearon_cli.core.ledger import Account, Ledger
from wearon_cli.core.session import Channel

#: The platform's b2c deductions name no session, and its cron refunds every open one.
FREE_NEEDS_STORE: Final = (
    "a user's ledger does not show which session took a credit, so a failed trial would be "
    "refunded a credit that was never taken"
)
FREE_HINT: Final = "use --free with --store"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayerChoice:
    """Who pays, as the platform would decide it."""

    account: Account
    shopper_email: str | None = None  # b2b: whom the session is for
    is_free: bool = False  # no credit is taken

    @property
    def shopper_pays(self) -> bool:
        """b2b resell: the shopper's credit instead of the store's."""
        return self.account.shoppers_pay and not self.is_free

    @property
    def sentence(self) -> str:
        """What is taken from whom, without e-mail addresses."""
        owner = self.account
        kind = "user" if owner.channel is Channel.B2C else "store"
        name = f"{owner.shop_domain} ({owner.owner_id})" if owner.shop_domain else owner.owner_id
        if self.is_free:
            return f"take no credit (a trial for {kind} {name})"
        if self.shopper_pays:
            return f"take a credit of a shopper of {kind} {name}"
        return f"take one of the {owner.credits} credits of {kind} {name}"


async def choose_payer(
    ledger: Ledger,
    channel: Channel,
    name: str,
    *,
    shopper_email: str | None = None,
    is_free: bool = False,
) -> PayerChoice:
    """
    Find who pays, and check that the platform's rules allow it.

    Args:
        ledger: Knows the accounts.
        channel: Whether `name` is a user's (b2c) or a store's (b2b).
        name: Id; or a user's e-mail, or a store's domain.
        shopper_email: The store's shopper whom the session is for.
        is_free: Take no credit.

    Raises:
        InputError: There is no such account, or the rules do not allow it.
    """
    account = await ledger.account(channel, name)
    if account is None:
        raise _unknown(channel, name)
    _require_allowed(account, shopper_email, is_free=is_free)
    return PayerChoice(account=account, shopper_email=shopper_email, is_free=is_free)


def _require_allowed(account: Account, shopper_email: str | None, *, is_free: bool) -> None:
    if is_free and account.channel is Channel.B2C:
        raise InputError(FREE_NEEDS_STORE, hint=FREE_HINT)
    if not account.is_active:
        raise InputError(
            "this store is inactive: the platform no longer serves it",
            hint="the merchant must reinstall the app",
        )
    if account.shoppers_pay and not shopper_email and not is_free:
        raise InputError(
            "in this store the shoppers pay",
            hint="specify --shopper E-MAIL, or use --free to take no credit",
        )


def _unknown(channel: Channel, name: str) -> InputError:
    if channel is Channel.B2B:
        return InputError(f"there is no store {name[:80]}", hint="use its id or its domain")
    said = "with this e-mail" if "@" in name else name[:80]
    return InputError(f"there is no user {said}", hint="use the account's id or e-mail")
