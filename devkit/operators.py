"""The operator tools over a small world."""

from datetime import datetime, timedelta
from typing import Any

from devkit.world import World
from wearon_cli.adapters.redis.book import RedisPurchaseBook
from wearon_cli.adapters.redis.locks import RedisRefundLock
from wearon_cli.core.operator.inspector import Inspector, SessionReport
from wearon_cli.core.operator.reconcile import Reconciler
from wearon_cli.core.operator.replay import Replayer
from wearon_cli.core.operator.replay_plan import Plan, ReplayOptions
from wearon_cli.core.operator.try_on import OrderService
from wearon_cli.core.operator.undo import Undo
from wearon_cli.core.purchases import BookRow
from wearon_cli.core.session import SessionKey, utc_now
from wearon_cli.core.session_store import SessionStore
from wearon_cli.wiring.operator import OperatorTools, operator_inspector, operator_replayer

DAY = timedelta(days=1)


class Operators:
    """Created once per test; their writes pass the world's fuse."""

    def __init__(self, world: World, *, orphan_age_s: float = 0.0) -> None:
        self._world = world
        self._orphan_age_s = orphan_age_s

    @property
    def store(self) -> SessionStore:
        wrap = self._world.fuse.wrap
        return SessionStore(
            sessions=wrap(self._world.sessions),
            ledger=wrap(self._world.ledger),
            storage=wrap(self._world.storage),
        )

    @property
    def inspector(self) -> Inspector:
        world = self._world
        return operator_inspector(self.store, world.intake, world.journal, world.settings)

    @property
    def replayer(self) -> Replayer:
        journal = self._world.fuse.wrap(self._world.journal)
        lock = RedisRefundLock(self._world.redis)
        return operator_replayer(self.inspector, journal, lock, self._world.settings)

    @property
    def undo(self) -> Undo:
        store = self.store
        return Undo(
            inspector=self.inspector,
            sessions=store.sessions,
            storage=store.storage,
            journal=self._world.fuse.wrap(self._world.journal),
            lock=RedisRefundLock(self._world.redis),
        )

    @property
    def reconciler(self) -> Reconciler:
        return Reconciler(
            inspector=self.inspector,
            journal=self._world.fuse.wrap(self._world.journal),
            settlement=self._world.settlement,
            orphan_age_s=self._orphan_age_s,
        )

    @property
    def orders(self) -> OrderService:
        store = self.store
        return OrderService(
            sessions=store.sessions,
            ledger=store.ledger,
            storage=store.storage,
            intake=self._world.fuse.wrap(self._world.intake),
            journal=self._world.fuse.wrap(self._world.journal),
            lock=RedisRefundLock(self._world.redis),
        )

    @property
    def tools(self) -> OperatorTools:
        """The tools of a command."""
        world = self._world
        return OperatorTools(
            settings=world.settings,
            redis=world.redis,
            store=self.store,
            intake=world.intake,
            open_journal=lambda: world.fuse.wrap(world.journal),
        )

    async def report(self, key: SessionKey) -> SessionReport:
        return await self.inspector.inspect(key.session_id)

    async def plan(self, key: SessionKey, **options: Any) -> Plan:
        return await self.replayer.plan(key.session_id, ReplayOptions(**options))

    async def replay(self, key: SessionKey, **options: Any) -> Plan:
        """Plan it and open its job."""
        plan = await self.plan(key, **options)
        await self.replayer.run(plan)
        return plan

    async def book(self, *, now: datetime | None = None) -> list[BookRow]:
        """All recent purchases."""
        today = (now or utc_now()).date()
        return list(await RedisPurchaseBook(self._world.redis).rows(today - DAY, today))
