"""Picture files of `wearon check`: read, prepared as for a job, checked, and drawn on."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from wearon_cli.adapters.pose.check_jobs import check_inputs, check_result, found_in
from wearon_cli.cli.uploads import read_file
from wearon_cli.core.checks.drawing import annotated
from wearon_cli.core.checks.findings import Report
from wearon_cli.core.errors import InputError, PictureProblem
from wearon_cli.core.pictures.ports import PreparedPicture
from wearon_cli.core.pictures.prepare import prepare, verify

JPEG_QUALITY: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFiles:
    """The findings about some files."""

    inputs: Report
    result: Report | None  # None: no generated picture was given
    pictures: tuple[bytes, ...]  # as they were checked: person, garment, generated picture


def checked_files(
    person: Path, garment: Path | None, result: Path | None, *, model: Path, max_px: int
) -> CheckedFiles:
    """
    Check files as a worker does.

    Raises:
        InputError: A file cannot be read.
        PictureProblem: A file is not a picture.
    """
    inputs = [_prepared(path, max_px) for path in (person, garment) if path]
    pictures, small = [each.jpeg for each in inputs], [each.small for each in inputs]
    said = check_inputs(small, model)
    if result is None:
        return CheckedFiles(inputs=said, result=None, pictures=tuple(pictures))
    with _named(result):
        drawn = verify(read_file(result), with_small=True)
    cloth = small[1] if garment else None
    of_result = check_result(drawn.small or drawn.jpeg, small[0], cloth, said.seen, model)
    return CheckedFiles(inputs=said, result=of_result, pictures=(*pictures, drawn.jpeg))


def write_drawing(path: Path, checked: CheckedFiles, sentences: Sequence[str], model: Path) -> None:
    """
    Write the pictures side by side, with the findings drawn in.

    Raises:
        InputError: The file cannot be written.
    """
    parts = [
        (Image.open(io.BytesIO(each)).convert("RGB"), found_in(each, model))
        for each in checked.pictures
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        annotated(parts, sentences).save(path, quality=JPEG_QUALITY)
    except ValueError as exc:  # Pillow decides by the extension
        raise InputError(f"{path} has no picture file extension", hint="use .jpg or .png") from exc
    except OSError as exc:
        raise InputError(f"cannot write {path}: {exc.strerror or 'not as a picture'}") from exc


def _prepared(path: Path, max_px: int) -> PreparedPicture:
    with _named(path):
        return prepare(read_file(path), max_px=max_px)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """A problem with a picture names its file."""
    try:
        yield
    except PictureProblem as exc:
        raise type(exc)(f"{path}: {exc}", hint=exc.hint) from exc
