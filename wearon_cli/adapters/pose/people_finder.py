"""Finding people in a picture quickly: the pose landmarker without masks, on a small picture."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from wearon_cli.adapters.pose.mediapipe_pose import MOST_PEOPLE, load_landmarker, quietly
from wearon_cli.adapters.pose.outline import without_outline
from wearon_cli.core.checks.colours import Rgb
from wearon_cli.core.checks.people import Array, Person
from wearon_cli.core.errors import PictureUnusable

#: Confidence of its detector from which a person counts, MediaPipe's default: of 46 pictures
#: without people one is taken for a person at it, of 298 photos of people one is missed.
SURE: Final = 0.5
#: The lowest confidence at which people are looked for: with `_LOOKS` no photo of a person is
#: missed, and every fourth picture without a person is recognised as such (docs/checks.md).
LENIENT: Final = 0.1
#: Border around a picture that is shown smaller: a face that fills its photo needs it.
_GREY: Final = (127, 127, 127)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A way to look at a picture, and where in it something is that is seen so (shares of it)."""

    show: Callable[[Image.Image], Image.Image]
    back: Callable[[Array, Array], tuple[Array, Array]]


class PeopleFinder:
    """
    Loads the network at the first picture. For one thread.

    A process that ends by itself closes it first: left to the end of the interpreter, MediaPipe
    prints a traceback, because the modules that it needs are gone by then.
    """

    def __init__(self, model: Path) -> None:
        self._model = model
        self._sure: Any = None
        self._lenient: Any = None

    def find(self, rgb: Rgb) -> tuple[Person, ...]:
        """
        The people in a picture.

        Raises:
            ConfigError: The network cannot be loaded.
            PictureUnusable: It cannot process this picture.
        """
        self._sure = self._sure or self._load(SURE, MOST_PEOPLE)
        return tuple(_person(points, rgb) for points in _detected(self._sure, rgb))

    def glimpse(self, rgb: Rgb) -> Person | None:
        """
        Who may be there after all: small, very near, turned, with the head cut off, or in the dark.

        For a picture in which none was found. Takes up to six searches instead of one.

        Raises:
            As `find`.
        """
        self._lenient = self._lenient or self._load(LENIENT, 1)
        picture = Image.fromarray(rgb)
        for look in _LOOKS:
            for points in _detected(self._lenient, np.asarray(look.show(picture))):
                x, y = look.back(*points[:, :2].T)
                return _person(np.column_stack([x, y, points[:, 2]]), rgb)
        return None

    def close(self) -> None:
        """Free the network's memory. The next search loads it again."""
        with quietly():
            for landmarker in filter(None, (self._sure, self._lenient)):
                landmarker.close()
        self._sure = self._lenient = None

    def _load(self, confidence: float, people: int) -> Any:
        with quietly():
            return load_landmarker(
                without_outline(self._model),
                num_poses=people,
                min_pose_detection_confidence=confidence,
                min_pose_presence_confidence=confidence,
            )


def _person(points: Array, rgb: Rgb) -> Person:
    height_px, width_px = rgb.shape[:2]
    return Person(
        points=points[:, :2] * (width_px, height_px),
        visibility=points[:, 2],
        width_px=width_px,
        height_px=height_px,
    )


def _smaller(picture: Image.Image) -> Image.Image:
    wide, high = picture.size
    canvas = Image.new("RGB", (2 * wide, 2 * high), _GREY)
    canvas.paste(picture, (wide // 2, high // 2))
    return canvas


def _middle(picture: Image.Image) -> Image.Image:
    wide, high = picture.size
    return picture.crop((wide // 4, high // 4, wide - wide // 4, high - high // 4))


def _turned(turn: Image.Transpose) -> Callable[[Image.Image], Image.Image]:
    return partial(Image.Image.transpose, method=turn)


#: The most likely first.
_LOOKS: Final = (
    _Look(show=lambda picture: picture, back=lambda x, y: (x, y)),
    _Look(show=_smaller, back=lambda x, y: (2 * x - 0.5, 2 * y - 0.5)),
    _Look(show=_middle, back=lambda x, y: (x / 2 + 0.25, y / 2 + 0.25)),
    _Look(show=_turned(Image.Transpose.ROTATE_90), back=lambda x, y: (1 - y, x)),
    _Look(show=_turned(Image.Transpose.ROTATE_270), back=lambda x, y: (y, 1 - x)),
    _Look(show=_turned(Image.Transpose.ROTATE_180), back=lambda x, y: (1 - x, 1 - y)),
)


def _detected(landmarker: Any, rgb: Rgb) -> list[Array]:
    """For each person (33, 3): x and y as shares of the picture's sides, visibility."""
    from mediapipe import Image as MediaPipeImage
    from mediapipe import ImageFormat

    picture = MediaPipeImage(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
    try:
        with quietly():
            found = landmarker.detect(picture)
    except (ValueError, RuntimeError) as exc:
        raise PictureUnusable("the pose network cannot work with this picture") from exc
    return [
        np.array([(p.x, p.y, p.visibility) for p in points], np.float64)
        for points in found.pose_landmarks
    ]
