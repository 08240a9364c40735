"""Pictures from the command line, checked before anything is uploaded or paid for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wearon_cli.core.errors import InputError, PictureProblem, PictureTooLarge
from wearon_cli.core.operator.try_on import Upload
from wearon_cli.core.pictures.headers import read_header

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings

#: As many as a payload may have (the queue contract).
MAX_PICTURES: Final = 10
#: The hint when a file is missing.
CHECK_PATH: Final = "check the name and the folder"


def read_uploads(paths: Sequence[Path], settings: "Settings") -> tuple[Upload, ...]:
    """
    Read the pictures of one try-on: person, garment, accessories.

    Raises:
        InputError: There are more than a job takes, or a file cannot be read.
        PictureProblem: One is not a picture that the workers accept.
    """
    if len(paths) > MAX_PICTURES:
        raise InputError(
            f"{len(paths)} pictures, and a try-on takes {MAX_PICTURES}",
            hint="the person, one garment and at most 8 accessories",
        )
    return tuple(read_upload(path, settings) for path in paths)


def read_upload(path: Path, settings: "Settings") -> Upload:
    """
    Read one picture file.

    Raises:
        InputError: There is no such file, or it cannot be read.
        PictureProblem: It is not a picture that the workers accept.
    """
    from wearon_cli.core.pictures.prepare import prepare  # imports Pillow

    data = read_file(path)
    if len(data) > settings.max_picture_bytes:
        raise PictureTooLarge(
            f"{path} has {len(data) / 2**20:.1f} MB, more than "
            f"{settings.max_picture_bytes / 2**20:.0f} MB",
            hint="make it smaller: the longest side needs no more than 2000 pixels",
        )
    try:
        kind = read_header(data).kind
        prepare(data, max_px=settings.max_picture_px)
    except PictureProblem as exc:
        hint = exc.hint or "use a JPEG, PNG or WebP picture"
        raise type(exc)(f"{path}: {exc}", hint=hint) from exc
    return Upload(data=data, content_type=kind.content_type)


def read_file(path: Path) -> bytes:
    """
    Read a file that was named on the command line.

    Raises:
        InputError: There is no such file, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise InputError(f"there is no file {path}", hint=CHECK_PATH) from exc
    except IsADirectoryError as exc:
        raise InputError(f"{path} is a folder", hint="name a picture file") from exc
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror}") from exc
