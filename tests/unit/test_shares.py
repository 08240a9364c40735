"""Shares: what callers may take of a fixed amount."""

from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st

from wearon_cli.runtime.http.shares import Shares


def most(shares: Shares, stack: ExitStack, caller: str) -> int:
    """How many single places this caller gets, each for a request of its own."""
    taken = 0
    while stack.enter_context(shares.of(caller)).take(1):
        taken += 1
    return taken


def test_each_caller_gets_half_of_what_is_free() -> None:
    shares = Shares(16)
    with ExitStack() as stack:
        assert [most(shares, stack, name) for name in "abcdef"] == [8, 4, 2, 1, 1, 0]


def test_all_is_given_back_at_the_end() -> None:
    shares = Shares(16)
    for _ in range(3):
        with ExitStack() as stack:
            assert most(shares, stack, "a") == 8
    with shares.of("b") as share:
        assert share.take(16)  # nobody else holds anything
        assert share.take(0)
        assert not share.take(1)


def test_what_is_refused_is_not_held() -> None:
    shares = Shares(4)
    with shares.of("a") as share:
        assert not share.take(5)
        assert share.taken == 0
        assert share.take(4)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=60))
def test_no_more_is_held_than_there_is(wishes: list[tuple[str, int]]) -> None:
    shares = Shares(20)
    with ExitStack() as stack:
        held = [stack.enter_context(shares.of(name)) for name, _ in wishes]
        for share, (_, amount) in zip(held, wishes, strict=True):
            share.take(amount)
        assert sum(share.taken for share in held) <= 20
    with shares.of("d") as share:
        assert share.take(20)
