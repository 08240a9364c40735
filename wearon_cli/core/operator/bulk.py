"""
Bulk replays, opened within a cost limit and followed together.

While a replay runs, its maximum cost counts towards the limit; when it has ended, its actual cost.
So the limit always holds, and cheap replays make room for more.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wearon_cli.core.errors import SessionError
from wearon_cli.core.operator.follow import LOOK_EVERY_S, Ended, ended_row
from wearon_cli.core.operator.inspector import AT_ONCE, UNKNOWN
from wearon_cli.core.operator.replay_plan import Plan

if TYPE_CHECKING:
    from wearon_cli.core.operator.replay import Replayer

#: Most open jobs polled per second.
LOOKS_PER_S: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkEnd:
    """How one replay ended."""

    plan: Plan
    ended: Ended

    @property
    def cause(self) -> str:
        """The class of the error that was replayed."""
        return self.plan.report.error_class or UNKNOWN


@dataclass(slots=True)
class BulkProgress:
    """Progress. Times are of the event loop's clock."""

    waiting: list[Plan]  # not opened yet
    open: dict[str, Plan] = field(default_factory=dict)  # by session id
    ends: list[BulkEnd] = field(default_factory=list)
    moved: list[Plan] = field(default_factory=list)  # changed since they were planned
    began_s: float = 0.0
    now_s: float = 0.0
    by_limit: bool = False  # the cost limit holds back the waiting ones

    @property
    def cost_usd(self) -> float:
        """What the ended ones cost."""
        return sum(end.ended.cost_usd for end in self.ends)

    @property
    def committed_usd(self) -> float:
        """What was paid, plus the most that the open ones may cost."""
        return self.cost_usd + sum(plan.price.most_usd or 0.0 for plan in self.open.values())

    @property
    def succeeded(self) -> int:
        return sum(end.ended.succeeded for end in self.ends)

    @property
    def failures(self) -> Counter[str]:
        """Failed replays by their own class of error."""
        return Counter(
            end.ended.error_class or UNKNOWN for end in self.ends if not end.ended.succeeded
        )

    @property
    def opened(self) -> int:
        return len(self.open) + len(self.ends)

    @property
    def left_s(self) -> float | None:
        """The estimated remaining time of the open ones; None until one has ended."""
        if not self.ends or not self.open:
            return None
        return (self.now_s - self.began_s) / len(self.ends) * len(self.open)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """Opens and follows replays."""

    replayer: "Replayer"
    max_cost_usd: float | None = None

    async def run(
        self, progress: BulkProgress, *, timeout_s: float, on_change: Callable[[BulkProgress], None]
    ) -> None:
        """
        Open what the limit allows, and follow it until all have ended or `timeout_s` has passed.
        `progress` then has the result, also after a cancellation.
        """
        clock = asyncio.get_running_loop().time
        progress.began_s = progress.now_s = clock()
        while True:
            await self._open(progress)
            on_change(progress)
            if not progress.open or clock() - progress.began_s > timeout_s:
                return
            await asyncio.sleep(max(LOOK_EVERY_S, len(progress.open) / LOOKS_PER_S))
            await self._look(progress)
            progress.now_s = clock()

    async def _open(self, progress: BulkProgress) -> None:
        while progress.waiting:
            plan = progress.waiting[0]
            if not self._affords(progress, plan):
                progress.by_limit = True
                return
            progress.waiting.pop(0)
            progress.open[plan.session.session_id] = plan  # interrupted here, it may be open
            try:
                await self.replayer.run(plan)
            except SessionError:
                del progress.open[plan.session.session_id]
                progress.moved.append(plan)
        progress.by_limit = False

    def _affords(self, progress: BulkProgress, plan: Plan) -> bool:
        if self.max_cost_usd is None:
            return True
        most_usd = plan.price.most_usd
        return most_usd is not None and progress.committed_usd + most_usd <= self.max_cost_usd

    async def _look(self, progress: BulkProgress) -> None:
        plans = list(progress.open.values())
        for some in _chunks(plans, AT_ONCE):
            for plan, ended in zip(
                some, await asyncio.gather(*map(self._ended, some)), strict=True
            ):
                if ended is not None:
                    del progress.open[plan.session.session_id]
                    progress.ends.append(BulkEnd(plan=plan, ended=ended))

    async def _ended(self, plan: Plan) -> Ended | None:
        inspector = self.replayer.inspector
        row = await ended_row(inspector, plan.session.key, on_look=lambda _row, _job: None)
        if row is None:
            return None
        return Ended(report=await inspector.report(row), before=plan.report)


def _chunks(plans: Sequence[Plan], size: int) -> Iterable[Sequence[Plan]]:
    return (plans[start : start + size] for start in range(0, len(plans), size))
