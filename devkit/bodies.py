"""A drawn body of known breadths, and the output of a perfect pose network for it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from wearon_cli.core.body.pose import Landmark, PoseReading

ROWS, COLS = 1000, 760
TOP, BOTTOM = 50, 950  # crown and soles, rows
TALL = BOTTOM - TOP
MIDDLE = COLS / 2
SHOULDER_Y, HIP_Y = TOP + 0.17 * TALL, TOP + 0.4805 * TALL
KNEE_Y, ANKLE_Y = TOP + 0.72 * TALL, TOP + 0.93 * TALL

#: The stature at which one pixel of the drawn body is 0.2 cm.
STATURE_CM = 180.0
CM_PER_PX = 0.2
#: Breadth of the drawn trunk, and of each leg.
TRUNK_CM = 32.0
LEG_CM = 10.0


def standing(*, trunk_cm: float = TRUNK_CM, arm_gap_px: float = 60.0) -> PoseReading:
    """
    A person who faces the camera, arms hanging straight.

    Args:
        trunk_cm: Breadth of the trunk from shoulders to crotch, at `STATURE_CM`.
        arm_gap_px: From the trunk's edge to the arm's inner edge. 0: they touch.
    """
    half = trunk_cm / CM_PER_PX / 2
    joints = front_joints(half, arm_gap_px)
    return reading(joints, front_mask(half, joints, arm_gap_px), world_of(joints))


def front_mask(half: float, joints: Mapping[str, tuple[float, float]], gap: float) -> Image.Image:
    mask = Image.new("L", (COLS, ROWS))
    draw = ImageDraw.Draw(mask)
    leg = LEG_CM / CM_PER_PX / 2
    draw.ellipse((MIDDLE - 45, TOP, MIDDLE + 45, TOP + 125), fill=255)
    draw.rectangle((MIDDLE - 25, TOP + 90, MIDDLE + 25, SHOULDER_Y), fill=255)
    draw.rectangle((MIDDLE - half, SHOULDER_Y - 20, MIDDLE + half - 1, HIP_Y + 45), fill=255)
    for side in (-1, 1):
        x = MIDDLE + side * (half - leg)
        draw.rectangle((x - leg, HIP_Y, x + leg - 1, BOTTOM - 1), fill=255)
        arm = joints["LEFT_ELBOW" if side > 0 else "RIGHT_ELBOW"][0]
        draw.rectangle((arm - 22, SHOULDER_Y - 20, arm + 21, HIP_Y + 60), fill=255)
        inner, outer = sorted((MIDDLE + side * half, arm))
        draw.rectangle((inner, SHOULDER_Y - 20, outer, SHOULDER_Y + 30), fill=255)
    return mask


def front_joints(half: float, gap: float) -> dict[str, tuple[float, float]]:
    """Pixels by landmark name. The picture's right is the person's left."""
    joints = {
        "NOSE": (MIDDLE, TOP + 0.0875 * TALL),
        "MOUTH_LEFT": (MIDDLE + 10, TOP + 95.0),
        "MOUTH_RIGHT": (MIDDLE - 10, TOP + 95.0),
    }
    for name, side in (("LEFT", 1), ("RIGHT", -1)):
        arm = MIDDLE + side * (half + gap + 22)
        leg = MIDDLE + side * (half - LEG_CM / CM_PER_PX / 2)
        joints |= {
            f"{name}_EYE": (MIDDLE + side * 15, TOP + 65.0),
            f"{name}_EYE_INNER": (MIDDLE + side * 10, TOP + 65.0),
            f"{name}_EYE_OUTER": (MIDDLE + side * 20, TOP + 65.0),
            f"{name}_EAR": (MIDDLE + side * 40, TOP + 70.0),
            f"{name}_SHOULDER": (MIDDLE + side * half if gap else arm, SHOULDER_Y),
            f"{name}_ELBOW": (arm, SHOULDER_Y + 140),
            f"{name}_WRIST": (arm, HIP_Y - 10),
            f"{name}_INDEX": (arm, HIP_Y + 30),
            f"{name}_PINKY": (arm, HIP_Y + 30),
            f"{name}_THUMB": (arm, HIP_Y + 20),
            f"{name}_HIP": (MIDDLE + side * 50, HIP_Y),
            f"{name}_KNEE": (leg, KNEE_Y),
            f"{name}_ANKLE": (leg, ANKLE_Y),
            f"{name}_HEEL": (leg, BOTTOM - 10.0),
            f"{name}_FOOT_INDEX": (leg, BOTTOM - 8.0),
        }
    return joints


def world_of(joints: Mapping[str, tuple[float, float]]) -> NDArray[np.float32]:
    """Metres from the hips; the feet a little behind, as the network sees them."""
    world = np.zeros((33, 3), np.float32)
    for name, (x, y) in joints.items():
        z = 0.1066 * np.clip((y - HIP_Y) / (ANKLE_Y - HIP_Y), 0, 1)
        world[Landmark[name]] = ((x - MIDDLE) * 0.002, (y - HIP_Y) * 0.002, z)
    return world


def reading(
    joints: Mapping[str, tuple[float, float]], mask: Image.Image, world: NDArray[np.float32]
) -> PoseReading:
    landmarks = np.zeros((33, 3), np.float32)
    for name, (x, y) in joints.items():
        landmarks[Landmark[name], :2] = (x / mask.width, y / mask.height)
    return PoseReading(
        landmarks=landmarks,
        visibility=np.ones(33, np.float32),
        world=world,
        mask=np.asarray(mask, np.float32) / np.float32(255),
    )


def from_side(*, depth_cm: float = 22.0, hand_forward: bool = False) -> PoseReading:
    """A person who looks to the right of the picture, seen from their right."""
    half = depth_cm / CM_PER_PX / 2
    mask = Image.new("L", (COLS, ROWS))
    draw = ImageDraw.Draw(mask)
    draw.ellipse((MIDDLE - 55, TOP, MIDDLE + 55, TOP + 125), fill=255)
    draw.rectangle((MIDDLE - half, SHOULDER_Y - 40, MIDDLE + half - 1, BOTTOM - 1), fill=255)
    hand_y = HIP_Y + 2.0
    hand_x = MIDDLE + (half + 60 if hand_forward else 0)
    if hand_forward:
        draw.rectangle((MIDDLE, hand_y - 16, hand_x + 40, hand_y + 16), fill=255)
    joints = {name: (MIDDLE, y) for name, (_, y) in front_joints(half, 0).items()}
    for side in ("LEFT", "RIGHT"):
        joints[f"{side}_WRIST"] = (hand_x - 40 if hand_forward else MIDDLE, hand_y)
        joints[f"{side}_INDEX"] = (hand_x, hand_y)
        joints[f"{side}_FOOT_INDEX"] = (MIDDLE + half - 5, BOTTOM - 8.0)
    joints["NOSE"] = (MIDDLE + 50, TOP + 75.0)
    world = world_of(joints)
    for name, z in (("SHOULDER", 0.17), ("HIP", 0.1)):
        world[Landmark[f"LEFT_{name}"], 2] += z
        world[Landmark[f"RIGHT_{name}"], 2] -= z
    return reading(joints, mask, world)


def photo_of(person: PoseReading, *, brightness: float = 1.0) -> NDArray[np.uint8]:
    """A photo of a grey person in front of a light wall."""
    wall, clothes = 200 * brightness, 90 * brightness
    grey = np.where(person.mask > 0.5, clothes, wall).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))


def blurred(photo: NDArray[np.uint8], sigma_px: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(sigma_px)))


def with_landmark(person: PoseReading, name: str, x: float, y: float) -> PoseReading:
    """The same person with one landmark moved (0..1 of the photo)."""
    landmarks = person.landmarks.copy()
    landmarks[Landmark[name], :2] = (x, y)
    return replace(person, landmarks=landmarks)


class FixedReader:
    """Implements `PoseReader`: returns the given answers in order, whatever the photo."""

    def __init__(self, *answers: tuple[PoseReading, ...]) -> None:
        self._answers = list(answers)

    def read(self, rgb: NDArray[np.uint8]) -> tuple[PoseReading, ...]:
        return self._answers.pop(0)
