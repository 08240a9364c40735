"""Checks that the settings' durations are consistent with each other and with fixed limits."""

from typing import Final, Protocol

#: A crashed worker's job runs again within this time (docs/reliability.md).
RECOVERY_PROMISE_S: Final = 45.0
#: The platform's cron fails and refunds a b2c session of this age (contract: platform).
PLATFORM_CRON_S: Final = 600.0
#: A bought picture is held in Redis for this long while storage is unavailable.
HELD_PICTURE_S: Final = 3600
#: Lifetime of the lock under which a refund is searched for and made.
REFUND_LOCK_S: Final = 60
#: A row that was read longer ago than this is read again before anything is bought.
SEEN_FOR_S: Final = 3.0
#: A call that is answered before the picture is generated: the time to upload the pictures.
SUBMIT_TIMEOUT_S: Final = 60.0
#: A check of pictures times out after this time, waiting included; a job has two of them.
CHECK_S: Final = 10.0
#: After the drain, a worker hands its jobs back and exits within this time.
HAND_BACK_S: Final = 15.0


class Numbers(Protocol):
    """The settings that are checked against each other; they are described in `Settings`."""

    @property
    def fetch_timeout_s(self) -> float: ...
    @property
    def check_inputs(self) -> str: ...
    @property
    def permit_wait_s(self) -> float: ...
    @property
    def openai_timeout_s(self) -> float: ...
    @property
    def supabase_timeout_s(self) -> float: ...
    @property
    def lease_s(self) -> float: ...
    @property
    def lease_renew_s(self) -> float: ...
    @property
    def recovery_interval_s(self) -> float: ...
    @property
    def b2c_buy_within_s(self) -> float: ...
    @property
    def attempt_budget_s(self) -> float: ...
    @property
    def drain_s(self) -> float: ...
    @property
    def stop_grace_s(self) -> float: ...
    @property
    def max_wait_s(self) -> float: ...
    @property
    def orphan_age_s(self) -> float: ...


def cross_checks(numbers: Numbers) -> list[str]:
    """One sentence for each contradiction between settings; empty when there is none."""
    rules = (*_of_an_attempt(numbers), *_of_leases(numbers), *_of_money(numbers))
    return [sentence for holds, sentence in rules if not holds]


type _Rule = tuple[bool, str]


def _of_an_attempt(numbers: Numbers) -> tuple[_Rule, ...]:
    # Fetch, check, permit, paid call, and five calls to Supabase (swap, look, put, sign, complete).
    worst_s = (
        numbers.fetch_timeout_s
        + (CHECK_S if numbers.check_inputs != "off" else 0.0)
        + numbers.permit_wait_s
        + numbers.openai_timeout_s
        + 5 * numbers.supabase_timeout_s
    )
    return (
        (
            worst_s <= numbers.attempt_budget_s,
            f"one attempt can take {worst_s:g} s, more than WEARON_ATTEMPT_BUDGET_S "
            f"({numbers.attempt_budget_s:g})",
        ),
        (
            numbers.orphan_age_s > numbers.attempt_budget_s,
            f"WEARON_ORPHAN_AGE_S ({numbers.orphan_age_s:g}) must be longer than "
            f"WEARON_ATTEMPT_BUDGET_S ({numbers.attempt_budget_s:g})",
        ),
    )


def _of_leases(numbers: Numbers) -> tuple[_Rule, ...]:
    found_s = numbers.lease_s + numbers.recovery_interval_s
    return (
        (
            numbers.lease_s >= 3 * numbers.lease_renew_s,
            f"WEARON_LEASE_S ({numbers.lease_s:g}) must hold three renewals of "
            f"WEARON_LEASE_RENEW_S ({numbers.lease_renew_s:g})",
        ),
        (
            found_s <= RECOVERY_PROMISE_S,
            f"WEARON_LEASE_S + WEARON_RECOVERY_INTERVAL_S is {found_s:g} s; a crashed "
            f"worker's job must be back within {RECOVERY_PROMISE_S:g} s",
        ),
        (
            numbers.drain_s + HAND_BACK_S <= numbers.stop_grace_s,
            f"WEARON_DRAIN_S ({numbers.drain_s:g}) and {HAND_BACK_S:g} s to hand jobs back must "
            f"fit in WEARON_STOP_GRACE_S ({numbers.stop_grace_s:g})",
        ),
    )


def _of_money(numbers: Numbers) -> tuple[_Rule, ...]:
    # The row was read open, the pictures were sent, one was generated; then put, sign and complete.
    late_s = (
        numbers.b2c_buy_within_s
        + SEEN_FOR_S
        + SUBMIT_TIMEOUT_S
        + numbers.openai_timeout_s
        + 3 * numbers.supabase_timeout_s
    )
    return (
        (
            late_s <= PLATFORM_CRON_S,
            f"WEARON_B2C_BUY_WITHIN_S ({numbers.b2c_buy_within_s:g}) leaves no time for a paid "
            f"call before the platform refunds a session of {PLATFORM_CRON_S:g} s",
        ),
        (
            numbers.max_wait_s <= HELD_PICTURE_S,
            f"WEARON_MAX_WAIT_S ({numbers.max_wait_s:g}) is longer than a bought picture is held "
            f"while storage is away ({HELD_PICTURE_S} s): it would be bought twice",
        ),
        (
            # Row, ledger and refund, and the refund's transaction after its call timed out.
            4 * numbers.supabase_timeout_s <= REFUND_LOCK_S,
            f"WEARON_SUPABASE_TIMEOUT_S ({numbers.supabase_timeout_s:g}) is so long that a refund "
            f"may outlast its lock ({REFUND_LOCK_S} s): it would be given twice",
        ),
    )
