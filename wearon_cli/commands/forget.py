"""`wearon forget`: deletes what is kept about sessions."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from wearon_cli.cli.consent import YesOption, consent
from wearon_cli.cli.operator import operator_name, with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption, OperatorOption
from wearon_cli.cli.output import Result, note
from wearon_cli.core.errors import InputError, NeedsAPerson, WearonError

if TYPE_CHECKING:
    from wearon_cli.core.operator.bulk_forgetting import BulkForgetter, BulkForgotten, Selection
    from wearon_cli.core.operator.forgetting import ForgetPlan, Receipt
    from wearon_cli.core.session import Session
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

#: Most sessions listed before deletion; beyond that, only the number.
NAMED: Final = 20


def forget(
    sessions: Annotated[
        list[str] | None, typer.Argument(metavar="SESSION...", help="Session ids.")
    ] = None,
    whose: Annotated[
        str | None,
        typer.Option("--owner", help="All sessions of the user or merchant store with this id."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be deleted and exit.")
    ] = False,
    yes: YesOption = False,
    operator: OperatorOption = None,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    Permanently delete the data of sessions: pictures, timelines, copies.

    Deletes the input pictures in our bucket, the result and earlier results, the timeline, dead
    letters, payloads and pictures in Redis, and the copies at providers that keep any. Asks first.
    This cannot be undone, and the sessions cannot be replayed.

    The row and its ledger entries belong to the platform and stay. A summary with costs and counts
    and one timeline line remain, without personal data. Refuses a session that a worker holds, and
    one whose credit is still owed: return it first. Keeps input pictures that another session of
    the owner or an open one of anybody uses, and those in another owner's folder.

    An outage ends the run. Every session that was forgotten is told, with what was deleted; run it
    again for the rest.

    Exit codes: 5 some sessions could not be forgotten; 6 an outage, some are left.
    """
    if sessions and whose:
        raise InputError("session ids and --owner cannot be combined", hint="use one of them")
    if not sessions and not whose:
        raise InputError("no sessions specified", hint="use session ids or --owner")
    by = operator_name(operator)

    async def work(tools: "OperatorTools", settings: "Settings") -> Result:
        from wearon_cli.core.operator.bulk_forgetting import BulkForgetter
        from wearon_cli.wiring.forgetting import forgetter

        bulk = BulkForgetter(forgetter=forgetter(tools))
        selection = await bulk.plan(await _rows(tools, bulk, sessions or [], whose))
        if not selection.plans and len(selection.refused) == 1:
            raise selection.refused[0]  # in its own words
        if dry_run or not selection.plans:
            return _planned(selection)
        _tell(selection.plans)
        question = f"permanently delete this data of {_counted(len(selection.plans), 'session')}?"
        await consent(question, yes=yes)
        return await _forgotten(bulk, selection, settings, by)

    return with_tools(work, local=local, data_dir=data_dir, needs_whole_view=True)


async def _rows(
    tools: "OperatorTools", bulk: "BulkForgetter", names: Sequence[str], owner: str | None
) -> "Sequence[Session]":
    if owner is None:
        return [await tools.inspector.find(name) for name in dict.fromkeys(names)]
    rows = await bulk.rows_of({_owner_id(owner)})
    if not rows:
        raise InputError(f"{owner} has no sessions", hint="check that the id is complete")
    return rows


def _owner_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as exc:
        raise InputError(
            f"{text!r} is not the id of a user or a merchant store",
            hint="`wearon session` shows a session's owner",
        ) from exc


async def _forgotten(
    bulk: "BulkForgetter", selection: "Selection", settings: "Settings", by: str
) -> Result:
    from wearon_cli.wiring.forgetting import open_keepers

    names = {ticket.provider for plan in selection.plans for ticket in plan.tickets}
    async with open_keepers(settings, names) as providers:
        return _answer(await bulk.run(selection, providers, by=by))


def _tell(plans: "Sequence[ForgetPlan]") -> None:
    for plan in plans[:NAMED]:
        note(_sentence(plan))
    if len(plans) > NAMED:
        note(f"and {len(plans) - NAMED} more")


def _sentence(plan: "ForgetPlan") -> str:
    parts = [f"{_counted(len(plan.inputs), 'input picture')}, its results, its timeline"]
    if plan.letters:
        parts.append(_counted(len(plan.letters), "dead letter"))
    if plan.tickets:
        parts.append(_counted(len(plan.tickets), "copy at a provider", "copies at providers"))
    if plan.kept:
        parts.append(f"without {_counted(len(plan.kept), 'input')} of other sessions")
    return f"{plan.session.session_id} ({plan.session.status.value}): {', '.join(parts)}"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one}" if count == 1 else f"{count} {many or f'{one}s'}"


def _planned(selection: "Selection") -> Result:
    lines = [_sentence(plan) for plan in selection.plans]
    return Result(
        data=_facts(plans=selection.plans, refused=selection.refused),
        lines=[*lines, *_refusals(selection.refused)],
        error=_not_all(0, selection.refused),
    )


def _answer(done: "BulkForgotten") -> Result:
    not_asked = sorted({name for each in done.receipts for name in each.not_asked})
    if not_asked:
        note(f"{', '.join(not_asked)} may keep copies, but no key to delete them is set here")
    return Result(
        data=_facts(forgotten=done.receipts, refused=done.refused, left=done.left),
        lines=[*map(_done, done.receipts), *_refusals(done.refused)],
        error=_stopped(done) or _not_all(len(done.receipts), done.refused),
    )


def _stopped(done: "BulkForgotten") -> WearonError | None:
    if done.stopped_by is None:
        return None
    count = len(done.receipts)
    total = count + len(done.refused) + done.left
    return type(done.stopped_by)(
        f"{count} of {_counted(total, 'session')} were forgotten, {done.left} are left: "
        f"{done.stopped_by}",
        hint="run it again in a minute: it does the rest, also of a session that was begun",
    )


def _not_all(count: int, refused: "Sequence[WearonError]") -> WearonError | None:
    if not refused:
        return None
    return NeedsAPerson(
        f"{_counted(len(refused), 'session')} could not be forgotten, {count} were",
        hint="when the reasons are gone, run it again: it does the rest",
    )


def _refusals(refused: "Sequence[WearonError]") -> list[str]:
    return [f"refused: {each}" for each in refused]


def _facts(
    *,
    forgotten: "Sequence[Receipt]" = (),
    plans: "Sequence[ForgetPlan]" = (),
    refused: "Sequence[WearonError]" = (),
    left: int = 0,
) -> dict[str, object]:
    return {
        "forgotten": [asdict(each) for each in forgotten],
        "plans": [_plan_facts(plan) for plan in plans],
        "refused": [{"code": each.code, "reason": str(each)} for each in refused],
        "left": left,
    }


def _done(receipt: "Receipt") -> str:
    return (
        f"{receipt.session_id} forgotten: {_counted(receipt.pictures, 'picture')}, "
        f"{_counted(receipt.dead_letters, 'dead letter')}, "
        f"{_counted(receipt.provider_copies, 'copy', 'copies')} at providers"
    )


def _plan_facts(plan: "ForgetPlan") -> dict[str, object]:
    return {
        "session_id": plan.session.session_id,
        "status": plan.session.status,
        "inputs": len(plan.inputs),
        "kept_inputs": len(plan.kept),
        "dead_letters": len(plan.letters),
        "provider_copies": len(plan.tickets),
    }
