"""
Builds what operators' commands need, without the parts only a worker needs.

A tool is built, and its modules are imported, when a command first uses it: most commands use two
or three of them, and importing the rest would take longer than their whole run.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from wearon_cli.wiring.parts import (
    open_intake,
    open_journal,
    open_redis,
    open_settlement,
    open_store,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from wearon_cli.adapters.redis.client import Client
    from wearon_cli.adapters.redis.journal import RedisJournal
    from wearon_cli.core.failures import FailureCounts
    from wearon_cli.core.jobs.dead_letters import DeadLetters
    from wearon_cli.core.jobs.intake import Intake
    from wearon_cli.core.jobs.journal import JobReader
    from wearon_cli.core.jobs.settlement import Settlement
    from wearon_cli.core.locks import RefundLock
    from wearon_cli.core.operator.inspector import Inspector
    from wearon_cli.core.operator.letters import LetterTools
    from wearon_cli.core.operator.minutes import EndingCounts
    from wearon_cli.core.operator.queue_stats import QueueStatsPort
    from wearon_cli.core.operator.reconcile import Reconciler
    from wearon_cli.core.operator.replay import Replayer
    from wearon_cli.core.operator.replay_plan import ReplayPrice
    from wearon_cli.core.operator.search import SessionSearch
    from wearon_cli.core.operator.try_on import OrderService
    from wearon_cli.core.operator.undo import Undo
    from wearon_cli.core.operator.workforce import Workforce
    from wearon_cli.core.purchases import PurchaseBook
    from wearon_cli.core.session import Sessions
    from wearon_cli.core.session_store import SessionStore
    from wearon_cli.core.settings import Settings
    from wearon_cli.core.storage import Storage


@dataclass(frozen=True, kw_only=True)  # no slots: each tool is kept where it was first asked for
class OperatorTools:
    """What an operator's command works with."""

    settings: Settings
    redis: Client
    store: SessionStore
    intake: Intake
    open_journal: Callable[[], RedisJournal]

    @property
    def sessions(self) -> Sessions:
        return self.store.sessions

    @property
    def storage(self) -> Storage:
        return self.store.storage

    @property
    def require_whole_view(self) -> Callable[[], Awaitable[None]]:
        """Raises `ConfigError` when the key sees only some of the rows: results would be wrong."""
        return self.store.require_whole_view

    @cached_property
    def journal(self) -> RedisJournal:
        return self.open_journal()

    @cached_property
    def inspector(self) -> Inspector:
        return operator_inspector(self.store, self.intake, self.journal, self.settings)

    @cached_property
    def search(self) -> SessionSearch:
        from wearon_cli.core.operator.search import SessionSearch

        return SessionSearch(inspector=self.inspector)

    @cached_property
    def replayer(self) -> Replayer:
        return operator_replayer(self.inspector, self.journal, self.refund_lock, self.settings)

    @cached_property
    def undo(self) -> Undo:
        from wearon_cli.core.operator.undo import Undo

        return Undo(
            inspector=self.inspector,
            sessions=self.sessions,
            storage=self.storage,
            journal=self.journal,
            lock=self.refund_lock,
        )

    @cached_property
    def refund_lock(self) -> RefundLock:
        from wearon_cli.adapters.redis.locks import RedisRefundLock

        return RedisRefundLock(self.redis)

    @cached_property
    def reconciler(self) -> Reconciler:
        from wearon_cli.core.operator.reconcile import Reconciler

        return Reconciler(
            inspector=self.inspector,
            journal=self.journal,
            settlement=self._settlement,
            orphan_age_s=self.settings.orphan_age_s,
        )

    def _settlement(self) -> Settlement:
        return open_settlement(self.redis, self.store, self.journal, self.dead_letters)

    @cached_property
    def orders(self) -> OrderService:
        from wearon_cli.core.operator.try_on import OrderService

        return OrderService(
            sessions=self.sessions,
            ledger=self.store.ledger,
            storage=self.storage,
            intake=self.intake,
            journal=self.journal,
            lock=self.refund_lock,
        )

    @cached_property
    def letters(self) -> LetterTools:
        from wearon_cli.core.operator.letters import LetterTools

        return LetterTools(
            dead_letters=self.dead_letters, journal=self.journal, replayer=self.replayer
        )

    @cached_property
    def dead_letters(self) -> DeadLetters:
        from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters

        return RedisDeadLetters(self.redis)

    @cached_property
    def queue_stats(self) -> QueueStatsPort:
        from wearon_cli.adapters.redis.queue_stats import RedisQueueStats

        return RedisQueueStats(self.redis, heartbeat_s=self.settings.heartbeat_s)

    @cached_property
    def workforce(self) -> Workforce:
        from wearon_cli.adapters.redis.workforce import RedisWorkforce

        return RedisWorkforce(self.redis)

    @cached_property
    def endings(self) -> EndingCounts:
        from wearon_cli.adapters.redis.ending_counts import RedisEndingCounts

        return RedisEndingCounts(self.redis)

    @cached_property
    def book(self) -> PurchaseBook:
        from wearon_cli.adapters.redis.book import RedisPurchaseBook

        return RedisPurchaseBook(self.redis)

    @cached_property
    def failures(self) -> FailureCounts:
        from wearon_cli.adapters.redis.failures import RedisFailureCounts

        return RedisFailureCounts(self.redis)


@asynccontextmanager
async def open_operator_tools(
    settings: Settings, *, needs_whole_view: bool = False
) -> AsyncIterator[OperatorTools]:
    """
    The operator tools.

    Args:
        settings: Of production, or of a local stack.
        needs_whole_view: Refuse a key that sees only some of the rows.

    Raises:
        ConfigError: A setting is missing, or the key is not the service role's.
    """
    async with AsyncExitStack() as stack:
        redis = await open_redis(stack, settings)
        yield OperatorTools(
            settings=settings,
            redis=redis,
            store=await open_store(stack, settings, whole=needs_whole_view),
            intake=open_intake(stack, redis, settings, wait_s=1.0),
            open_journal=partial(open_journal, redis, settings),
        )


def operator_inspector(
    store: SessionStore, intake: Intake, jobs: JobReader, settings: Settings
) -> Inspector:
    """The inspector over these adapters."""
    from wearon_cli.core.credit_facts import CreditReader
    from wearon_cli.core.operator.inputs import InputReader
    from wearon_cli.core.operator.inspector import Inspector

    return Inspector(
        sessions=store.sessions,
        credits=CreditReader(sessions=store.sessions, ledger=store.ledger),
        storage=store.storage,
        intake=intake,
        jobs=jobs,
        inputs=InputReader(
            storage=store.storage,
            bucket=settings.bucket,
            # The local stack's port changes with each start, so only the path is compared.
            origin=None if settings.is_local else settings.supabase_url,
        ),
    )


def operator_replayer(
    inspector: Inspector, journal: RedisJournal, lock: RefundLock, settings: Settings
) -> Replayer:
    """The replayer over these adapters."""
    from wearon_cli.core.operator.replay import Replayer

    return Replayer(
        inspector=inspector,
        sessions=inspector.sessions,
        journal=journal,
        jobs=journal,
        lock=lock,
        price=partial(_price, settings),
        b2c_buy_within_s=settings.b2c_buy_within_s,
    )


def _price(settings: Settings, model: str | None, pictures: int) -> ReplayPrice:
    """What a try-on costs; with several configured models, the most expensive one."""
    from wearon_cli.core.image_models import named_model
    from wearon_cli.core.image_prices import try_on_usd
    from wearon_cli.core.operator.replay_plan import ReplayPrice

    # A local stack's workers may have a key that this command does not have, and then draw no
    # previews.
    configured = settings.openai_image_models if settings.draws_previews else settings.model_names
    models = map(named_model, (model,) if model else configured)
    prices = [
        try_on_usd(
            each,
            size=settings.image_size,
            quality=settings.image_quality,
            pictures=pictures,
        )
        for each in models
    ]
    known = [price for price in prices if price is not None]
    return ReplayPrice(
        expected_usd=max(known) if len(known) == len(prices) else None,
        max_purchases=settings.max_purchases,
        may_be_preview=settings.draws_previews,
    )
