"""`wearon provenance`: which marks of its origin a picture carries."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result
from wearon_cli.core.errors import ConfigError, InputError, ObjectNotFound, SessionError

if TYPE_CHECKING:
    from wearon_cli.core.pictures.credentials import Credentials
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

#: Source types in plain words; others are shown as they are.
_IN_WORDS: Final = {
    "trainedAlgorithmicMedia": "drawn by a trained model",
    "compositeSynthetic": "a composite with synthetic parts",
    "compositeWithTrainedAlgorithmicMedia": "photos beside pictures drawn by a trained model",
}
_STATES: Final = {
    "trusted": "a valid signature, on a trust list, of",
    "valid": "a valid signature of",
    "invalid": "A BROKEN SIGNATURE of",
}


def provenance(
    target: Annotated[
        str, typer.Argument(metavar="FILE|SESSION", help="A picture file or a session id.")
    ],
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    Show a picture's provenance marks.

    Reads the XMP source type and the content credentials (C2PA) of a JPEG, PNG or WebP file, or of
    a session's stored picture. Checks the signature if the `c2pa` extra of wearon-cli is installed.
    Works offline. See docs/provenance.md for what the marks mean and what removes them.
    """
    file = Path(target)
    if file.is_file():
        return _answer(str(file), _read(file))

    async def work(tools: "OperatorTools", _: "Settings") -> Result:
        row = await tools.inspector.find(target)
        try:
            picture = await tools.storage.get(row.result_path)
        except ObjectNotFound as exc:
            raise SessionError(f"session {row.session_id} has no stored picture") from exc
        return _answer(f"session {row.session_id}", picture)

    from wearon_cli.cli.operator import with_tools
    from wearon_cli.core.operator.inspector import checked_session_id

    try:
        checked_session_id(target)
    except InputError as exc:
        raise InputError(
            f"{target!r} is neither a file nor a session id", hint="check that the path is complete"
        ) from exc
    return with_tools(work, local=local, data_dir=data_dir)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise InputError(f"cannot read {file}: {exc.strerror}") from exc


def _answer(name: str, picture: bytes) -> Result:
    from wearon_cli.core.pictures.headers import sniff
    from wearon_cli.core.pictures.marks import read_marks

    if sniff(picture) is None:
        raise InputError(f"{name} is not a JPEG, PNG or WebP picture")
    marks = read_marks(picture)
    credentials, is_checked = _credentials(picture) if marks.has_c2pa else (None, False)
    data = {
        "picture": name,
        "has_c2pa": marks.has_c2pa,
        "source_type": marks.source_type,
        "is_checked": is_checked,
        "credentials": asdict(credentials) if credentials else None,
    }
    xmp = _source_type(marks.source_type) if marks.source_type else "no source type"
    lines = [
        f"picture   {name}",
        *_credential_lines(marks.has_c2pa, credentials, is_checked=is_checked),
        f"XMP       {xmp}",
    ]
    return Result(data=data, lines=lines)


def _credentials(picture: bytes) -> "tuple[Credentials | None, bool]":
    """The content credentials, and whether they were checked."""
    from wearon_cli.adapters.provenance.reading import read_credentials

    try:
        return read_credentials(picture), True
    except ConfigError:
        return None, False


def _credential_lines(
    has_c2pa: bool, credentials: "Credentials | None", *, is_checked: bool
) -> list[str]:
    if not has_c2pa:
        return ["C2PA      no content credentials"]
    if not is_checked:
        return ["C2PA      content credentials; to check them: pip install 'wearon-cli[c2pa]'"]
    if credentials is None:
        return ["C2PA      content credentials that cannot be read"]
    signer = credentials.signed_by or "somebody unnamed"
    lines = [f"C2PA      {_STATES[credentials.state]} {signer}"]
    if credentials.faults:
        lines.append(f"faults    {', '.join(credentials.faults)}")
    if credentials.made_with:
        lines.append(f"by        {credentials.made_with}")
    if credentials.actions:
        actions = (each.removeprefix("c2pa.") for each in credentials.actions)
        lines.append(f"done      {', '.join(actions)}")
    if credentials.source_type:
        lines.append(f"says      {_source_type(credentials.source_type)}")
    lines += [f"made from a picture signed by {each}" for each in credentials.parents_signed_by]
    return lines


def _source_type(name: str) -> str:
    return f"{name}: {_IN_WORDS[name]}" if name in _IN_WORDS else name
