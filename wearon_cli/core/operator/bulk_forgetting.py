"""
Forgets many sessions, one after the other.

Each session leaves its receipt in its own timeline before the next one begins. An outage ends the
run, since it would meet the next sessions too; what was done until then is in the outcome.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wearon_cli.core.errors import (
    GeneratorError,
    InputError,
    Interrupted,
    SessionError,
    StoreRefused,
    UpstreamError,
    WearonError,
)
from wearon_cli.core.operator.forgetting import ForgetPlan, Forgetter, Receipt, Surroundings
from wearon_cli.core.providers import Provider
from wearon_cli.core.session import RowQuery, Session, utc_now

#: Most sessions of one run, and most others that are looked at.
MOST_ROWS: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is going to be deleted."""

    plans: Sequence[ForgetPlan]
    refused: Sequence[SessionError]

    @property
    def rows(self) -> Sequence[Session]:
        return [plan.session for plan in self.plans]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkForgotten:
    """What became of the sessions of a run."""

    receipts: Sequence[Receipt]
    refused: Sequence[WearonError]
    left: int = 0  # not begun, or not finished: the next run does it
    stopped_by: WearonError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkForgetter:
    """Plans and forgets many sessions. Raises as `Forgetter`."""

    forgetter: Forgetter

    async def rows_of(self, owners: Collection[str]) -> Sequence[Session]:
        """
        All sessions of these users and merchant stores, newest first.

        Raises:
            InputError: There are too many for one run.
        """
        query = RowQuery(owner_ids=frozenset(owners))
        rows = await self.forgetter.inspector.sessions.newest(query, limit=MOST_ROWS)
        if len(rows) >= MOST_ROWS:
            raise InputError(f"there are {MOST_ROWS} or more sessions: too many for one run")
        return rows

    async def plan(self, rows: Sequence[Session]) -> Selection:
        """Find what would be deleted of these sessions. Changes nothing."""
        around = await self.forgetter.look_around()
        plans: list[ForgetPlan] = []
        refused: list[SessionError] = []
        for row in rows:
            try:
                plans.append(await self.forgetter.plan(row, around))
            except SessionError as exc:
                refused.append(exc)
        used = await self._used_by_others([plan.session for plan in plans])
        return Selection(plans=[plan.without(used) for plan in plans], refused=refused)

    async def run(
        self, selection: Selection, providers: Mapping[str, Provider], *, by: str = ""
    ) -> BulkForgotten:
        """
        Forget the selected sessions; those that are refused meanwhile are left as they are.

        A cancellation and an outage end the run with what was done. Calling it again finishes it.

        Args:
            selection: As planned.
            providers: Those that can be asked, by name.
            by: The operator.
        """
        around = await self._surroundings(selection.rows)  # the operator may have thought for long
        receipts: list[Receipt] = []
        refused: list[WearonError] = list(selection.refused)
        stopped_by: WearonError | None = None
        begun = 0
        for row in selection.rows:
            try:
                receipts.append(await self.forgetter.run(row, around, providers, by=by))
            except (SessionError, GeneratorError, StoreRefused) as exc:  # of this one alone
                refused.append(exc)
            except UpstreamError as exc:
                stopped_by = exc
                break
            except asyncio.CancelledError:
                stopped_by = Interrupted("stopped")
                break
            begun += 1
        left = len(selection.plans) - begun
        return BulkForgotten(receipts=receipts, refused=refused, left=left, stopped_by=stopped_by)

    async def _surroundings(self, rows: Sequence[Session]) -> Surroundings:
        """Read again: those that have a job by now will be refused, and keep their pictures."""
        around = await self.forgetter.look_around()
        entry = self.forgetter.inspector.jobs.entry
        idle = [
            row
            for row in rows
            if row.session_id not in around.queued and await entry(row.session_id) is None
        ]
        return replace(around, shared_paths=await self._used_by_others(idle))

    async def _used_by_others(self, rows: Sequence[Session]) -> frozenset[str]:
        """
        Input pictures of sessions that stay: of the same owners, and open ones of anybody, whose
        pictures may be about to be fetched.
        """
        going = {row.session_id for row in rows}
        of_owners = await self.rows_of({row.owner_id for row in rows}) if rows else ()
        is_open = await self.forgetter.inspector.sessions.open_before(utc_now(), limit=MOST_ROWS)
        staying = {row.session_id: row for row in (*of_owners, *is_open)}
        return await self.forgetter.paths_used_by(
            [row for session_id, row in staying.items() if session_id not in going]
        )
