"""A pose network's output for a photo: 33 landmarks and a person mask for each person."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Landmark(IntEnum):
    """
    Index of a landmark. Left and right are the person's own.

    Source:
        The order of BlazePose's 33 landmarks (MediaPipe Pose Landmarker guide).
    """

    NOSE = 0
    LEFT_EYE_INNER = 1
    LEFT_EYE = 2
    LEFT_EYE_OUTER = 3
    RIGHT_EYE_INNER = 4
    RIGHT_EYE = 5
    RIGHT_EYE_OUTER = 6
    LEFT_EAR = 7
    RIGHT_EAR = 8
    MOUTH_LEFT = 9
    MOUTH_RIGHT = 10
    LEFT_SHOULDER = 11
    RIGHT_SHOULDER = 12
    LEFT_ELBOW = 13
    RIGHT_ELBOW = 14
    LEFT_WRIST = 15
    RIGHT_WRIST = 16
    LEFT_PINKY = 17
    RIGHT_PINKY = 18
    LEFT_INDEX = 19
    RIGHT_INDEX = 20
    LEFT_THUMB = 21
    RIGHT_THUMB = 22
    LEFT_HIP = 23
    RIGHT_HIP = 24
    LEFT_KNEE = 25
    RIGHT_KNEE = 26
    LEFT_ANKLE = 27
    RIGHT_ANKLE = 28
    LEFT_HEEL = 29
    RIGHT_HEEL = 30
    LEFT_FOOT_INDEX = 31
    RIGHT_FOOT_INDEX = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoseReading:
    """One person in a photo. Arrays are read-only."""

    #: (33, 3) float32. x and y over the photo's width and height, 0..1 inside it; z is depth
    #: on the scale of x, smaller is nearer, 0 at the middle of the hips.
    landmarks: NDArray[np.float32]
    #: (33,) float32, 0..1: how likely the landmark is in the photo and not hidden.
    visibility: NDArray[np.float32]
    #: (33, 3) float32, metres from the middle of the hips; x right in the photo, y down.
    world: NDArray[np.float32]
    #: (rows, cols) float32, 0..1, same size as the photo: how likely a pixel belongs to this
    #: person.
    mask: NDArray[np.float32]

    def pixels(self) -> NDArray[np.float32]:
        """Landmarks as (33, 2) x, y in pixels of the photo."""
        rows, cols = self.mask.shape
        return self.landmarks[:, :2] * np.array([cols, rows], np.float32)


class PoseReader(Protocol):
    """
    Finds people in a photo. Every implementation must:

    - block until done, and be callable from any thread and from several at once (calls may be
      serialized inside: run it on a thread, never on an event loop);
    - answer the same photo the same way every time: no state between calls;
    - raise `WearonError`s only.
    """

    def read(self, rgb: NDArray[np.uint8]) -> tuple[PoseReading, ...]:
        """
        Find people, the largest (by mask) first; empty when there is no one.

        Args:
            rgb: (rows, cols, 3) uint8, RGB, upright. Not modified.
        """
