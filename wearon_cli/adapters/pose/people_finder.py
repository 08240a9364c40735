"""Finding people in a picture quickly: the pose landmarker without masks, on a small picture."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wearon_cli.adapters.pose.mediapipe_pose import MOST_PEOPLE, load_landmarker, quietly
from wearon_cli.core.checks.colours import Rgb
from wearon_cli.core.checks.people import Person
from wearon_cli.core.errors import PictureUnusable

#: Confidence of its detector from which a person counts, MediaPipe's default: of 46 pictures
#: without people one is taken for a person at it, of 298 photos of people one is missed.
SURE: Final = 0.5
#: The lowest confidence at which people are looked for: with `_looks` no photo of a person is
#: missed, and every fourth picture without a person is recognised as such (docs/checks.md).
LENIENT: Final = 0.1
#: Border around a picture that is shown smaller: a face that fills its photo needs it.
_GREY: Final = (127, 127, 127)


class PeopleFinder:
    """Loads the network at the first picture. For one thread; ends with its process."""

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
        return tuple(
            Person(
                points=points[:, :2] * (rgb.shape[1], rgb.shape[0]),
                visibility=points[:, 2],
                width_px=rgb.shape[1],
                height_px=rgb.shape[0],
            )
            for points in _detected(self._sure, rgb)
        )

    def may_show_someone(self, rgb: Rgb) -> bool:
        """
        Whether there may be a person after all: small, very near, turned, with the head cut off, or
        in the dark.

        For a picture in which none was found. Takes up to six searches instead of one.

        Raises:
            As `find`.
        """
        self._lenient = self._lenient or self._load(LENIENT, 1)
        picture = Image.fromarray(rgb)
        return any(_detected(self._lenient, np.asarray(look(picture))) for look in _looks())

    def _load(self, confidence: float, people: int) -> Any:
        with quietly():
            return load_landmarker(
                self._model,
                num_poses=people,
                min_pose_detection_confidence=confidence,
                min_pose_presence_confidence=confidence,
            )


def _looks() -> Iterator[Callable[[Image.Image], Image.Image]]:
    """The most likely first."""
    yield lambda picture: picture
    yield _smaller
    yield _middle
    turns = Image.Transpose
    for turn in (turns.ROTATE_90, turns.ROTATE_270, turns.ROTATE_180):
        yield partial(Image.Image.transpose, method=turn)


def _smaller(picture: Image.Image) -> Image.Image:
    wide, high = picture.size
    canvas = Image.new("RGB", (2 * wide, 2 * high), _GREY)
    canvas.paste(picture, (wide // 2, high // 2))
    return canvas


def _middle(picture: Image.Image) -> Image.Image:
    wide, high = picture.size
    return picture.crop((wide // 4, high // 4, wide - wide // 4, high - high // 4))


def _detected(landmarker: Any, rgb: Rgb) -> list[NDArray[np.float64]]:
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
