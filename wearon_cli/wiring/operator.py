"""Builds what operators' commands need, without the parts only a worker needs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from wearon_cli.adapters.redis.book import RedisPurchaseBook
from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
from wearon_cli.adapters.redis.ending_counts import RedisEndingCounts
from wearon_cli.adapters.redis.failures import RedisFailureCounts
from wearon_cli.adapters.redis.journal import RedisJournal
from wearon_cli.adapters.redis.queue_stats import RedisQueueStats
from wearon_cli.adapters.redis.workforce import RedisWorkforce
from wearon_cli.core.credit_facts import CreditReader
from wearon_cli.core.failures import FailureCounts
from wearon_cli.core.image_models import named_model
from wearon_cli.core.image_prices import try_on_usd
from wearon_cli.core.jobs.intake import Intake
from wearon_cli.core.jobs.journal import JobReader
from wearon_cli.core.jobs.settlement import RefundLock
from wearon_cli.core.operator.inputs import InputReader
from wearon_cli.core.operator.inspector import Inspector
from wearon_cli.core.operator.letters import LetterTools
from wearon_cli.core.operator.minutes import EndingCounts
from wearon_cli.core.operator.queue_stats import QueueStatsPort
from wearon_cli.core.operator.reconcile import Reconciler
from wearon_cli.core.operator.replay import Replayer
from wearon_cli.core.operator.replay_plan import ReplayPrice
from wearon_cli.core.operator.try_on import OrderService
from wearon_cli.core.operator.undo import Undo
from wearon_cli.core.operator.workforce import Workforce
from wearon_cli.core.purchases import PurchaseBook
from wearon_cli.core.session import Sessions
from wearon_cli.core.session_store import SessionStore
from wearon_cli.core.settings import Settings
from wearon_cli.core.storage import Storage
from wearon_cli.wiring.parts import (
    open_intake,
    open_journal,
    open_redis,
    open_settlement,
    open_store,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTools:
    """What an operator's command works with."""

    inspector: Inspector
    replayer: Replayer
    undo: Undo
    reconciler: Reconciler
    orders: OrderService
    sessions: Sessions
    storage: Storage
    letters: LetterTools
    queue_stats: QueueStatsPort
    workforce: Workforce
    endings: EndingCounts
    book: PurchaseBook
    failures: FailureCounts
    #: Raises `ConfigError` when the key sees only some of the rows: results would be wrong.
    require_whole_view: Callable[[], Awaitable[None]]


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
        store = await open_store(stack, settings, whole=needs_whole_view)
        journal, dead_letters = open_journal(redis, settings), RedisDeadLetters(redis)
        intake = open_intake(stack, redis, settings, wait_s=1.0)
        settlement = open_settlement(redis, store, journal, dead_letters)
        inspector = operator_inspector(store, intake, journal, settings)
        replayer = operator_replayer(inspector, journal, settlement.refund_lock, settings)
        yield OperatorTools(
            inspector=inspector,
            replayer=replayer,
            undo=Undo(
                inspector=inspector,
                sessions=store.sessions,
                storage=store.storage,
                journal=journal,
                lock=settlement.refund_lock,
            ),
            reconciler=Reconciler(
                inspector=inspector,
                journal=journal,
                settlement=settlement,
                orphan_age_s=settings.orphan_age_s,
            ),
            orders=OrderService(
                sessions=store.sessions, ledger=store.ledger, storage=store.storage, intake=intake
            ),
            sessions=store.sessions,
            storage=store.storage,
            letters=LetterTools(dead_letters=dead_letters, journal=journal, replayer=replayer),
            queue_stats=RedisQueueStats(redis, heartbeat_s=settings.heartbeat_s),
            workforce=RedisWorkforce(redis),
            endings=RedisEndingCounts(redis),
            book=RedisPurchaseBook(redis),
            failures=RedisFailureCounts(redis),
            require_whole_view=store.require_whole_view,
        )


def operator_inspector(
    store: SessionStore, intake: Intake, jobs: JobReader, settings: Settings
) -> Inspector:
    """The inspector over these adapters."""
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
