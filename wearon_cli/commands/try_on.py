"""`wearon try-on`: one try-on by hand, the whole way, as the platform would order it."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from wearon_cli.cli.consent import YesOption, require_consent
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.outcome import check_target, followed_result, not_followed
from wearon_cli.cli.output import Result
from wearon_cli.cli.progress import Progress, progress
from wearon_cli.cli.stack import stack_settings
from wearon_cli.cli.uploads import read_uploads
from wearon_cli.core.errors import InputError
from wearon_cli.core.operator.follow import follow
from wearon_cli.core.operator.try_on import Order, Upload
from wearon_cli.core.session import Channel

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools


@dataclass(frozen=True, slots=True, kw_only=True)
class TryOnCommand:
    """What was asked for on the command line, checked."""

    pictures: tuple[Upload, ...]
    channel: Channel
    owner_id: str | None
    shopper_email: str | None
    prompt: str
    out: Path | None
    timeout_s: float


def try_on(
    person: Annotated[Path, typer.Argument(help="Photo of the person: JPEG, PNG or WebP.")],
    garments: Annotated[
        list[Path], typer.Argument(help="Photo of the garment; then of accessories, at most 8.")
    ],
    local: LocalOption = False,
    data_dir: DataDirOption = None,
    channel: Annotated[
        Channel, typer.Option(help="Who sells it: a store (b2b), or we to a user (b2c).")
    ] = Channel.B2C,
    owner: Annotated[
        UUID | None,
        typer.Option(
            help="The user (b2c) or store (b2b) whose credit is taken. "
            "With --local: a customer made up for it."
        ),
    ] = None,
    shopper: Annotated[
        str | None,
        typer.Option(help="E-mail of the store's shopper, whose credit is taken then (b2b)."),
    ] = None,
    prompt: Annotated[
        str, typer.Option(help="Prompt of the image model, instead of our own.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Where to save the picture. Default: try-on-<session>.jpg here."),
    ] = None,
    yes: YesOption = False,
    timeout: Annotated[
        float, typer.Option(min=1, help="Longest time to follow it, in seconds.")
    ] = 600.0,
) -> Result:
    """
    Dress a person in garments; save the picture.

    Checks the pictures, uploads them, takes one credit, makes a session and queues its job: what
    the platform does. Then it follows the session to its end, saves the picture, and prints its
    path, what it cost and how long it took. If the try-on fails, it prints what the shopper would
    read and whether the credit came back, and exits with 7. Before it takes a credit or buys a
    picture, it asks; without a terminal it needs --yes.

    With --local it uses the stack that runs in the data folder, or starts one for this run. A local
    stack without the key of an image provider draws a preview: a composite that costs nothing, and
    needs no question.

    If you stop following (Ctrl-C, or --timeout), the session goes on by itself.

      wearon try-on me.jpg shirt.png --local

      wearon try-on me.jpg shirt.png hat.jpg --channel b2b --owner STORE_ID --out me-dressed.jpg
    """

    from wearon_cli.core.settings import load_settings  # brings pydantic

    command = TryOnCommand(
        pictures=read_uploads((person, *garments), load_settings()),
        channel=channel,
        owner_id=str(owner) if owner else None,
        shopper_email=_checked_shopper(shopper, channel),
        prompt=prompt,
        out=check_target(out) if out else None,
        timeout_s=timeout,
    )
    with ExitStack() as stack:
        with progress("getting ready"):
            settings = stack.enter_context(stack_settings(local, data_dir))
        return asyncio.run(_run_if_agreed(command, settings, yes))


async def _run_if_agreed(command: TryOnCommand, settings: "Settings", yes: bool) -> Result:
    from wearon_cli.wiring.operator import open_operator_tools

    async with open_operator_tools(settings) as tools:
        if question := _question(command, settings):
            await asyncio.to_thread(require_consent, question, yes=yes)
        with progress("uploading the pictures") as shown:
            return await _order(command, settings, tools, shown)


def _question(command: TryOnCommand, settings: "Settings") -> str | None:
    """What somebody has to agree to; None when it takes no real credit and costs nothing."""
    from wearon_cli.runtime.all.local_stack import draws_previews

    if not settings.is_local:
        return f"take a credit of {_owner(settings, command)} and buy a picture?"
    return None if draws_previews(settings) else "buy a picture with the key of this local stack?"


async def run(command: TryOnCommand, settings: "Settings", shown: Progress) -> Result:
    """Order it, follow it, save it."""
    from wearon_cli.wiring.operator import open_operator_tools

    async with open_operator_tools(settings) as tools:
        shown.say("uploading the pictures")
        return await _order(command, settings, tools, shown)


async def _order(
    command: TryOnCommand, settings: "Settings", tools: "OperatorTools", shown: Progress
) -> Result:
    placing = asyncio.create_task(
        tools.orders.place(
            Order(
                channel=command.channel,
                owner_id=_owner(settings, command),
                pictures=command.pictures,
                prompt=command.prompt,
                shopper_email=command.shopper_email,
                shopper_pays=command.shopper_email is not None,
            )
        )
    )
    try:
        row = await asyncio.shield(placing)
    except asyncio.CancelledError:  # its credit may be taken already: the id must be told
        raise not_followed(await placing, settings) from None
    shown.say(f"session {row.session_id} is queued")
    picture = None
    try:
        ended = await follow(
            tools.inspector, row.key, timeout_s=command.timeout_s, on_look=shown.look
        )
        if ended.succeeded:
            picture = command.out or Path(f"try-on-{row.session_id}.jpg")
            picture.write_bytes(await tools.storage.get(row.result_path))
    except asyncio.CancelledError:
        raise not_followed(row, settings) from None
    return followed_result(ended, picture=picture, elapsed_s=shown.elapsed_s)


def _checked_shopper(shopper: str | None, channel: Channel) -> str | None:
    if shopper and channel is Channel.B2C:
        raise InputError("only a store has shoppers", hint="--shopper goes with --channel b2b")
    return shopper


def _owner(settings: "Settings", command: TryOnCommand) -> str:
    if command.owner_id:
        return command.owner_id
    if not settings.is_local:
        raise InputError(
            "whose credit is to be taken?",
            hint=f"--owner {command.channel.owner_column.upper()}, or --local to try it here",
        )
    from wearon_cli.adapters.local import accounts  # brings sqlite3

    if command.channel is Channel.B2C:
        return accounts.DEMO_USER_ID
    return accounts.DEMO_RESELL_STORE_ID if command.shopper_email else accounts.DEMO_STORE_ID
