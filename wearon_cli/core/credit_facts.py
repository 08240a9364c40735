"""Reads the facts for `credit_of` from rows and ledger, for settlement and operators alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from wearon_cli.core.credits import UNNAMED_REFUND_WITHIN, CreditFacts
from wearon_cli.core.ledger import EntryKind, Ledger, LedgerEntry
from wearon_cli.core.session import Channel, Session, Sessions, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNotes:
    """What the journal recorded about a session that its credit depends on."""

    failed_by_us: bool = False
    was_replayed: bool = False
    replaying: str | None = None  # id of the replay whose job is open
    parked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditReader:
    """
    Reads the facts of one session's credit. Changes nothing.

    Raises `StoreUnavailable` and `StoreRefused`.
    """

    sessions: Sessions
    ledger: Ledger

    async def facts(self, row: Session, marks: CreditNotes) -> CreditFacts:
        """
        Args:
            row: The session, just read.
            marks: From the journal: `SessionRecord` and the open job.
        """
        entries = await self.ledger.entries_of(row)
        return CreditFacts(
            session=row,
            entries=entries,
            siblings=await self._siblings(row),
            failed_by_us=marks.failed_by_us,
            was_replayed=marks.was_replayed,
            replaying=marks.replaying,
            parked=marks.parked,
            user_refunds=await self._user_refunds(row, entries, marks),
        )

    async def _siblings(self, row: Session) -> Sequence[Session]:
        if row.channel is Channel.B2C or not row.request_id:
            return ()
        return await self.sessions.with_request_id(row.owner_id, row.request_id)

    async def _user_refunds(
        self, row: Session, entries: Sequence[LedgerEntry], marks: CreditNotes
    ) -> Sequence[LedgerEntry]:
        """Read only where the answer may depend on them: for a failure that is not ours."""
        known = marks.failed_by_us or any(entry.kind is EntryKind.REFUND for entry in entries)
        if row.channel is Channel.B2B or row.status is not Status.FAILED or known:
            return ()
        return await self.ledger.user_refunds(
            row.owner_id,
            since=row.created_at - UNNAMED_REFUND_WITHIN,
            until=(row.completed_at or row.created_at) + UNNAMED_REFUND_WITHIN,
        )
