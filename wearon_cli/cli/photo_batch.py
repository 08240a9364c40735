"""Photos on disk for `wearon estimate`: found, read, measured, and drawn on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wearon_cli.cli.uploads import CHECK_PATH
from wearon_cli.core.body.drawing import annotate
from wearon_cli.core.body.estimate import Estimate, EstimateRequest, estimate
from wearon_cli.core.body.photo import read_photo
from wearon_cli.core.body.pose import PoseReader
from wearon_cli.core.errors import InputError, PhotoRefused, PictureProblem

#: Extensions of the pictures that are looked for in a folder.
ENDINGS: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
JPEG_QUALITY: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoSet:
    """The photos of one person, and where the annotated one goes."""

    front: Path
    side: Path | None = None
    drawing: Path | None = None


def is_batch(images: Sequence[Path]) -> bool:
    """Whether there are many: a folder, or several photos."""
    return len(images) > 1 or any(image.is_dir() for image in images)


def find_photo_sets(
    images: Sequence[Path], side: Path | None, drawing: Path | None
) -> list[PhotoSet]:
    """
    One set per photo. For many, `side` and `drawing` are folders with the same file names.

    Raises:
        InputError: There is nothing to measure, or a file where a folder is needed.
    """
    for image in images:
        if not image.exists():  # before the model is loaded or fetched
            raise InputError(f"there is no file {image}", hint=CHECK_PATH)
    if not is_batch(images):
        return [PhotoSet(front=images[0], side=side, drawing=drawing)]
    if side is not None and not side.is_dir():
        raise InputError(
            f"{side} is not a folder",
            hint="with several photos, --side must name a folder with files of the same names",
        )
    if drawing is not None and drawing.is_file():
        raise InputError(
            f"{drawing} is a file", hint="with several photos, --annotate must name a folder"
        )
    fronts = [photo for image in images for photo in _photos(image)]
    return [
        PhotoSet(
            front=front,
            side=_same_name(front, side),
            drawing=drawing / f"{front.stem}.jpg" if drawing else None,
        )
        for front in fronts
    ]


def measure_set(
    photo_set: PhotoSet, reader: PoseReader, request: EstimateRequest, *, max_px: int
) -> Estimate:
    """
    Measure, and write the annotated photo if one is wanted.

    Raises:
        InputError: A file cannot be read or written.
        PictureProblem: One of the photos is not a picture, or no body can be measured in it.
    """
    front = _read(photo_set.front, max_px)
    side = _read(photo_set.side, max_px) if photo_set.side else None
    try:
        measured = estimate(front, reader, request, side=side)
    except PhotoRefused as exc:
        raise PhotoRefused(f"{photo_set.front}: {exc}", hint=exc.hint, reason=exc.reason) from exc
    if photo_set.drawing:
        _write(photo_set.drawing, front, measured, side)
    return measured


def _photos(image: Path) -> Iterator[Path]:
    if not image.is_dir():
        yield image
        return
    found = sorted(p for p in image.iterdir() if p.suffix.lower() in ENDINGS)
    if not found:
        raise InputError(
            f"there are no photos in {image}",
            hint="only JPEG, PNG and WebP files are used",
        )
    yield from found


def _same_name(front: Path, folder: Path | None) -> Path | None:
    """The side photo, or None when there is no such file."""
    side = folder / front.name if folder else None
    return side if side and side.is_file() else None


def _read(path: Path, max_px: int) -> NDArray[np.uint8]:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror}") from exc
    try:
        return read_photo(data, max_px=max_px)
    except PictureProblem as exc:
        raise type(exc)(f"{path}: {exc}", hint=exc.hint) from exc


def _write(
    path: Path, front: NDArray[np.uint8], measured: Estimate, side: NDArray[np.uint8] | None
) -> None:
    picture = annotate(front, measured, side)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=JPEG_QUALITY)
    except ValueError as exc:  # Pillow decides by the extension
        raise InputError(f"{path} has no picture file extension", hint="use .jpg or .png") from exc
    except OSError as exc:
        raise InputError(f"cannot write {path}: {exc.strerror or 'not as a picture'}") from exc
