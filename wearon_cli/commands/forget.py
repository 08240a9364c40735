"""`wearon forget`: deletes what is kept about sessions."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from wearon_cli.cli.consent import YesOption, require_consent
from wearon_cli.cli.operator import operator_name, with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption, OperatorOption
from wearon_cli.cli.output import Result, note
from wearon_cli.core.errors import (
    GeneratorError,
    InputError,
    NeedsAPerson,
    SessionError,
    WearonError,
)
from wearon_cli.core.session import RowQuery, utc_now

if TYPE_CHECKING:
    from wearon_cli.core.operator.forgetting import ForgetPlan, Forgetter, Receipt, Surroundings
    from wearon_cli.core.session import Session
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

#: Sessions of one owner.
MOST_ROWS: Final = 100_000
#: Most sessions listed before deletion; beyond that, only the number.
NAMED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What was asked for, and what is confirmed."""

    plans: "Sequence[ForgetPlan]"
    refused: Sequence[WearonError]
    around: "Surroundings"


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

    Exit codes: 5 some sessions could not be forgotten.
    """
    if bool(sessions) is bool(whose):
        raise InputError("no sessions specified", hint="use either session ids or --owner")
    by = operator_name(operator)

    async def work(tools: "OperatorTools", settings: "Settings") -> Result:
        from wearon_cli.wiring.forgetting import forgetter

        forgetting = forgetter(tools)
        rows = await _rows(tools, sessions or [], whose)
        request = await _planned(tools, forgetting, rows)
        if not dry_run and request.plans:
            _tell(request.plans)
            question = f"permanently delete this data of {_counted(len(request.plans), 'session')}?"
            await asyncio.to_thread(require_consent, question, yes=yes)
            return await _forgotten(forgetting, request, settings, by)
        return _answer(request, ())

    return with_tools(work, local=local, data_dir=data_dir, needs_whole_view=True)


async def _rows(
    tools: "OperatorTools", names: Sequence[str], owner: str | None
) -> "Sequence[Session]":
    if owner is None:
        return [await tools.inspector.find(name) for name in dict.fromkeys(names)]
    rows = await _rows_of(tools, {_owner_id(owner)})
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


async def _rows_of(tools: "OperatorTools", owners: Collection[str]) -> "Sequence[Session]":
    query = RowQuery(owner_ids=frozenset(owners))
    rows = await tools.sessions.newest(query, limit=MOST_ROWS)
    if len(rows) >= MOST_ROWS:
        raise InputError(f"there are {MOST_ROWS} or more sessions: too many for one run")
    return rows


async def _open_rows(tools: "OperatorTools") -> "Sequence[Session]":
    """Of any owner: a picture that one of them names may be about to be fetched."""
    return await tools.sessions.open_before(utc_now(), limit=MOST_ROWS)


async def _planned(
    tools: "OperatorTools", forgetting: "Forgetter", rows: "Sequence[Session]"
) -> _Request:
    chosen, owners = {row.session_id for row in rows}, {row.owner_id for row in rows}
    others = [
        row
        for row in (*await _rows_of(tools, owners), *await _open_rows(tools))
        if row.session_id not in chosen
    ]
    around = await forgetting.look_around(shared_paths=await forgetting.paths_used_by(others))
    plans: list[ForgetPlan] = []
    refused: list[WearonError] = []
    for row in rows:
        try:
            plans.append(await forgetting.plan(row, around))
        except SessionError as exc:
            refused.append(exc)
    if len(rows) == 1 and refused:
        raise refused[0]  # in its own words
    return _Request(plans=plans, refused=refused, around=around)


async def _forgotten(
    forgetting: "Forgetter", request: _Request, settings: "Settings", by: str
) -> Result:
    from wearon_cli.wiring.forgetting import open_keepers

    names = {ticket.provider for plan in request.plans for ticket in plan.tickets}
    receipts: list[Receipt] = []
    refused = list(request.refused)
    async with open_keepers(settings, names) as providers:
        for plan in request.plans:
            try:
                receipts.append(
                    await forgetting.run(plan.session, request.around, providers, by=by)
                )
            except (SessionError, GeneratorError) as exc:  # it started again, or a copy is left
                refused.append(exc)
    done = _Request(plans=request.plans, refused=refused, around=request.around)
    return _answer(done, receipts)


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
    if plan.kept_inputs:
        parts.append(f"without {_counted(plan.kept_inputs, 'input')} of other sessions")
    return f"{plan.session.session_id} ({plan.session.status.value}): {', '.join(parts)}"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one}" if count == 1 else f"{count} {many or f'{one}s'}"


def _answer(request: _Request, receipts: "Sequence[Receipt]") -> Result:
    data = {
        "forgotten": [asdict(each) for each in receipts],
        "plans": [] if receipts else [_plan_facts(plan) for plan in request.plans],
        "refused": [{"code": each.code, "reason": str(each)} for each in request.refused],
    }
    lines = [_done(each) for each in receipts] or [_sentence(plan) for plan in request.plans]
    lines += [f"refused: {each}" for each in request.refused]
    not_asked = sorted({name for each in receipts for name in each.not_asked})
    if not_asked:
        note(f"{', '.join(not_asked)} may keep copies, but no key to delete them is set here")
    error = NeedsAPerson(f"{len(request.refused)} sessions could not be forgotten")
    return Result(data=data, lines=lines, error=error if request.refused else None)


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
        "kept_inputs": plan.kept_inputs,
        "dead_letters": len(plan.letters),
        "provider_copies": len(plan.tickets),
    }
