"""A drawn person and drawn garments for the preview's tests: every position is known exactly."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from wearon_cli.core.body.pose import Landmark, PoseReading
from wearon_cli.core.preview.rasters import Rgb

COLS, ROWS = 300, 600
BACKDROP = (150, 160, 170)
SKIN = (224, 180, 150)
OLD_TOP = (90, 110, 60)
TROUSERS = (40, 40, 70)
PAPER = (255, 255, 255)

#: x, y in pixels. The person's left is on the right of the photo.
JOINTS = {
    Landmark.NOSE: (150, 70),
    Landmark.MOUTH_LEFT: (156, 85),
    Landmark.MOUTH_RIGHT: (144, 85),
    Landmark.LEFT_SHOULDER: (190, 140),
    Landmark.RIGHT_SHOULDER: (110, 140),
    Landmark.LEFT_ELBOW: (225, 210),
    Landmark.RIGHT_ELBOW: (75, 210),
    Landmark.LEFT_WRIST: (250, 275),
    Landmark.RIGHT_WRIST: (50, 275),
    Landmark.LEFT_INDEX: (258, 300),
    Landmark.RIGHT_INDEX: (42, 300),
    Landmark.LEFT_HIP: (175, 290),
    Landmark.RIGHT_HIP: (125, 290),
    Landmark.LEFT_KNEE: (170, 430),
    Landmark.RIGHT_KNEE: (130, 430),
}

type Point = tuple[float, float]
type Ink = tuple[int, int, int]


def drawn_person(
    right_hand: Sequence[Point] | None = None, *, own_top: Ink = OLD_TOP, skin: Ink = SKIN
) -> tuple[Rgb, PoseReading]:
    """
    A photo of a person, and the output of a pose network for it.

    Args:
        right_hand: Elbow, wrist and fingers of the right arm, if not hanging at the side.
        own_top: Colour of the top that is worn.
        skin: Colour of face and arms.
    """
    joints = {key: np.array(place, float) for key, place in JOINTS.items()}
    right = (Landmark.RIGHT_ELBOW, Landmark.RIGHT_WRIST, Landmark.RIGHT_INDEX)
    for key, place in zip(right, right_hand or (), strict=False):
        joints[key] = np.array(place, float)
    photo = Image.new("RGB", (COLS, ROWS), BACKDROP)
    mask = Image.new("L", (COLS, ROWS))
    for picture, ink in ((photo, None), (mask, 255)):
        _draw(ImageDraw.Draw(picture), joints, ink, own_top, skin)
    landmarks = np.zeros((33, 3), np.float32)
    for key, joint in joints.items():
        landmarks[key, :2] = joint / (COLS, ROWS)
    reading = PoseReading(
        landmarks=landmarks,
        visibility=np.ones(33, np.float32),
        world=np.zeros((33, 3), np.float32),
        mask=np.asarray(mask, np.float32) / np.float32(255),
    )
    return np.asarray(photo), reading


def _draw(
    draw: ImageDraw.ImageDraw,
    joints: dict[Landmark, np.ndarray],
    ink: int | None,
    own_top: Ink,
    skin: Ink,
) -> None:
    def colour(rgb: tuple[int, int, int]) -> int | tuple[int, int, int]:
        return rgb if ink is None else ink

    draw.polygon([(112, 285), (188, 285), (182, 580), (118, 580)], fill=colour(TROUSERS))
    torso = [(132, 122), (168, 122), (195, 128), (192, 170), (186, 285), (114, 285), (108, 170)]
    draw.polygon([*torso, (105, 128)], fill=colour(own_top))
    draw.ellipse((122, 30, 178, 105), fill=colour(skin))
    draw.rectangle((136, 95, 164, 128), fill=colour(skin))
    for side in ("LEFT", "RIGHT"):
        chain = [
            tuple(joints[Landmark[f"{side}_{part}"]])
            for part in ("SHOULDER", "ELBOW", "WRIST", "INDEX")
        ]
        for start, end in pairwise(chain):
            limb = own_top if start == chain[0] else skin
            draw.line([start, end], fill=colour(limb), width=24)
            draw.ellipse([end[0] - 12, end[1] - 12, end[0] + 12, end[1] + 12], fill=colour(limb))


def drawn_garment(
    left: tuple[int, int, int],
    right: tuple[int, int, int] | None = None,
    *,
    sleeves: bool = True,
    paper: tuple[int, int, int] = PAPER,
) -> Rgb:
    """A T-shirt on paper, its halves in two colours."""
    picture = Image.new("RGB", (500, 500), paper)
    draw = ImageDraw.Draw(picture)
    hem = 440 if sleeves else 410  # at the length of a dress, nothing without sleeves is a top
    body = [(200, 50), (225, 90), (275, 90), (300, 50), (350, 70), (350, hem), (150, hem)]
    draw.polygon([*body, (150, 70)], fill=left)
    if sleeves:
        draw.polygon([(150, 70), (150, 170), (100, 210), (55, 165)], fill=left)
        draw.polygon([(350, 70), (350, 170), (400, 210), (445, 165)], fill=left)
    rgb = np.array(picture)
    if right is not None:
        half = rgb[:, 250:]
        half[(half != paper).any(2)] = right
    return rgb
