"""The look over a finished preview: what would mislead is not shown."""

from typing import Final

import numpy as np

from wearon_cli.core.body.pose import Landmark, PoseReading
from wearon_cli.core.errors import NotDressable
from wearon_cli.core.preview.dressing import Dressed

#: Share of the person's own top that may still be seen.
MOST_OLD: Final = 0.15


def require_good(dressed: Dressed, pose: PoseReading) -> None:
    """
    Raises:
        NotDressable: The face was touched, or too much of the person's own top shows.
    """
    _require_face(dressed, pose)
    own = dressed.own_top
    if own.any() and np.mean(dressed.cover[own] < 0.5) > MOST_OLD:
        raise NotDressable("the person's own top would show under it")


def _require_face(dressed: Dressed, pose: PoseReading) -> None:
    points = pose.pixels()
    face = points[: Landmark.MOUTH_RIGHT + 1]
    low, high = face.min(0), face.max(0)
    left, top, right, bottom = (max(0, int(v)) for v in (*low, *high))
    if np.asarray(dressed.changed[top : bottom + 1, left : right + 1]).any():
        raise NotDressable("the garment would cover the face")
