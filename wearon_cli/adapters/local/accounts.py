"""The sample customers of `--local`, with some credits."""

from typing import Final

from wearon_cli.adapters.local.ledger import LocalLedger

#: A user, a store whose shoppers pay nothing, and a store whose shopper pays.
DEMO_USER_ID: Final = "00000000-0000-4000-8000-000000000001"
DEMO_STORE_ID: Final = "00000000-0000-4000-8000-000000000002"
DEMO_RESELL_STORE_ID: Final = "00000000-0000-4000-8000-000000000003"
DEMO_STORE: Final = "demo.shop.test"
DEMO_RESELL_STORE: Final = "resell.shop.test"
DEMO_SHOPPER: Final = "shopper@shop.test"
DEMO_CREDITS: Final = 1000


async def ensure_demo_accounts(ledger: LocalLedger, *, credits: int = DEMO_CREDITS) -> None:
    """Create the customers that are missing; existing ones keep their credits."""
    await ledger.add_user(DEMO_USER_ID, credits=credits)
    await ledger.add_store(DEMO_STORE_ID, credits=credits, shop_domain=DEMO_STORE)
    await ledger.add_store(
        DEMO_RESELL_STORE_ID, credits=0, billing_mode="resell_mode", shop_domain=DEMO_RESELL_STORE
    )
    await ledger.add_shopper(DEMO_RESELL_STORE_ID, DEMO_SHOPPER, credits=credits)
