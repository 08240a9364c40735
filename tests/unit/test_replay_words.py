"""The operator's sentences about a credit."""

import pytest

from wearon_cli.core.credits import Credit, CreditState
from wearon_cli.core.operator.replay_plan import credit_step


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (CreditState.OWED, "wearon reconcile --fix"),
        (CreditState.UNCLEAR, "the ledger does not say"),
        (CreditState.OVERAGE, "the ledger does not say"),
        (CreditState.SPENT, "nothing left to do"),
        (CreditState.FREE, "nothing left to do"),
    ],
)
def test_a_completed_session_may_still_owe_a_credit(state: CreditState, said: str) -> None:
    """Seen: the advice was to drop a letter about a refused refund."""
    assert said in credit_step(Credit(state=state, reason="the ledger does not say"))
