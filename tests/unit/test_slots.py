"""Slots shared by owners."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wearon_cli.core.pictures.slots import FairSlots

pytestmark = pytest.mark.anyio


class Crowd:
    """Tasks that hold slots until they are released."""

    def __init__(self, slots: int) -> None:
        self.slots = FairSlots(slots)
        self.inside: list[str] = []
        self.leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, owner: str, *, many: int = 1) -> None:
        for _ in range(many):
            name = f"{owner}{len(self.tasks)}"
            self.leave[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._stay(owner, name))
        await settled()

    async def go(self, name: str) -> None:
        self.leave[name].set()
        await settled()

    async def _stay(self, owner: str, name: str) -> None:
        async with self.slots.slot(owner):
            self.inside.append(name)
            await self.leave[name].wait()
            self.inside.remove(name)

    def held(self) -> Counter[str]:
        return Counter(name[0] for name in self.inside)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def ended(crowd: Crowd) -> None:
    for leave in crowd.leave.values():
        leave.set()
    await asyncio.gather(*crowd.tasks.values(), return_exceptions=True)


async def test_each_owner_finds_a_slot_whatever_others_hold() -> None:
    crowd = Crowd(32)
    for owner in "abcdef":
        await crowd.come(owner, many=40)
    assert crowd.held() == {"a": 16, "b": 8, "c": 4, "d": 2, "e": 1, "f": 1}
    await ended(crowd)
    assert crowd.inside == []


async def test_the_owner_with_the_fewest_slots_goes_first() -> None:
    crowd = Crowd(2)
    await crowd.come("a", many=2)  # the second one waits: only one is free
    await crowd.come("b", many=2)
    assert crowd.inside == ["a0", "b2"]
    await crowd.come("c")
    await crowd.go("a0")
    assert crowd.inside == ["b2", "a1"]  # b, who waits as long, has one
    await crowd.go("a1")
    assert crowd.inside == ["b2", "c4"]
    await crowd.go("c4")
    assert crowd.inside == ["b2"]  # one is free, and b has one: it is for somebody else
    await ended(crowd)


async def test_one_slot_serves_owners_in_turn() -> None:
    crowd = Crowd(1)
    await crowd.come("a", many=3)
    await crowd.come("b")
    assert crowd.inside == ["a0"]
    await crowd.go("a0")
    assert crowd.held().total() == 1
    await ended(crowd)


async def test_a_cancelled_owner_keeps_no_place() -> None:
    crowd = Crowd(1)
    await crowd.come("a", many=3)
    crowd.tasks["a1"].cancel()
    crowd.leave["a0"].set()
    crowd.tasks["a0"].cancel()  # inside
    await settled()
    assert crowd.inside[-1:] == ["a2"]
    await ended(crowd)
    async with AsyncExitStack() as stack, asyncio.timeout(5):
        await stack.enter_async_context(crowd.slots.slot("b"))


async def test_a_slot_given_to_a_cancelled_owner_is_passed_on() -> None:
    slots = FairSlots(1)
    first = slots.slot("a")
    await first.__aenter__()
    second = asyncio.create_task(slots.slot("b").__aenter__())
    await asyncio.sleep(0)
    await first.__aexit__(None, None, None)  # hands it to the second, who has not run yet
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    async with asyncio.timeout(5), slots.slot("c"):
        pass


@given(
    slots=st.integers(1, 9),
    moves=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=40),
)
def test_slots_are_never_exceeded_nor_lost(slots: int, moves: list[tuple[str, int]]) -> None:
    """A move of 0 or 1: one arrives; 2: the first holder leaves; 3: the last to arrive is
    cancelled.
    """

    async def play() -> None:
        crowd = Crowd(slots)
        for owner, move in moves:
            if move < 2:
                await crowd.come(owner)
            elif move == 2 and crowd.inside:
                await crowd.go(crowd.inside[0])
            elif move == 3 and crowd.tasks:
                list(crowd.tasks.values())[-1].cancel()
                await settled()
            crowd.inside = [name for name in crowd.inside if not crowd.tasks[name].done()]
            assert len(crowd.inside) <= slots
        await ended(crowd)
        async with asyncio.timeout(5):
            await Crowd.come(crowd, "z")
        assert crowd.inside[-1:] == [list(crowd.tasks)[-1]]
        await ended(crowd)

    asyncio.run(play())
