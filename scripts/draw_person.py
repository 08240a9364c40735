"""
Renders the sample person, a mannequin in a studio: `python scripts/draw_person.py`.

The body is a distance field of smoothly joined rounded cones and ellipsoids, in metres, x to the
right of the picture, y up from the floor, z towards the camera. Rays are marched through it (J. C.
Hart, "Sphere tracing", The Visual Computer, 1996). Takes about a minute.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ASSETS = Path(__file__).parent.parent / "wearon_cli" / "assets"
COLS, ROWS = 768, 1024
FINE = 1.5  # rendered this many times larger, then reduced: smooth edges
#: Camera: height and distance in metres, and metres across the picture at the mannequin.
EYE_M, DISTANCE_M, ACROSS_M = 0.95, 6.0, 1.52
MARCH_STEPS = 70
#: Larger than the body's proportions suggest: a friendlier figure.
HEAD_SCALE = 1.07
HIT_M = 0.0012

SKIN, TEE, TROUSERS, SHOES, FLOOR = range(5)
COLOURS = np.array(
    [
        (240, 222, 206),
        (108, 140, 134),
        (52, 58, 76),
        (244, 240, 234),
        (212, 203, 192),
    ],
    float,
)

type Floats = NDArray[np.float64]


def main() -> None:
    picture = Image.fromarray(render(round(COLS * FINE), round(ROWS * FINE)))
    small = picture.resize((COLS, ROWS), Image.Resampling.LANCZOS)
    small.save(ASSETS / "person.jpg", quality=90, optimize=True)


# --------------------------------------------------------------------------- shapes


def cone(p: Floats, a: tuple[float, ...], b: tuple[float, ...], ra: float, rb: float) -> Floats:
    """A limb: from a to b, its radius from ra to rb."""
    start, span = np.array(a), np.subtract(b, a)
    share = np.clip((p - start) @ span / (span @ span), 0, 1)
    nearest = start + share[:, None] * span
    return np.asarray(np.linalg.norm(p - nearest, axis=1) - (ra + (rb - ra) * share))


def egg(p: Floats, centre: tuple[float, ...], radii: tuple[float, ...]) -> Floats:
    """An ellipsoid (an estimate of the distance, good near its surface)."""
    scaled = (p - np.array(centre)) / np.array(radii)
    size = np.linalg.norm(scaled, axis=1)
    slope = np.linalg.norm(scaled / np.array(radii), axis=1)
    return np.asarray(size * (size - 1) / np.maximum(slope, 1e-9))


def melt(soft_m: float, *parts: Floats) -> Floats:
    """A union with round seams."""
    whole = parts[0]
    for part in parts[1:]:
        near = np.clip(0.5 + 0.5 * (part - whole) / soft_m, 0, 1)
        whole = part + (whole - part) * near - soft_m * near * (1 - near)
    return whole


def mirrored(p: Floats) -> Floats:
    return np.column_stack([np.abs(p[:, 0]), p[:, 1:]])


def head(p: Floats) -> Floats:
    """A mannequin's head: brow, nose and lips are only suggested."""
    base = np.array((0, 1.56, 0))
    return HEAD_SCALE * _head((p - base) / HEAD_SCALE + base)


def _head(p: Floats) -> Floats:
    q = mirrored(p)
    skull = egg(p, (0, 1.692, -0.006), (0.076, 0.102, 0.094))
    jaw = egg(p, (0, 1.628, 0.022), (0.053, 0.066, 0.064))
    nose = cone(p, (0, 1.685, 0.083), (0, 1.648, 0.094), 0.006, 0.009)
    brow = cone(q, (0.0, 1.697, 0.078), (0.046, 1.694, 0.058), 0.008, 0.006)
    cheek = egg(q, (0.034, 1.648, 0.053), (0.022, 0.024, 0.02))
    lips = cone(q, (0, 1.613, 0.0795), (0.019, 1.614, 0.071), 0.006, 0.003)
    ear = egg(q, (0.076, 1.655, -0.008), (0.008, 0.028, 0.016))
    face = melt(0.022, melt(0.05, skull, jaw), nose, brow, cheek)
    eyes = egg(q, (0.031, 1.674, 0.091), (0.016, 0.009, 0.012))
    face = -melt(0.02, -face, eyes)
    neck = cone(p, (0, 1.45, -0.015), (0, 1.62, -0.012), 0.054, 0.048)
    return melt(0.03, melt(0.012, face, lips, ear), neck)


def torso(p: Floats) -> Floats:
    q = mirrored(p)
    chest = egg(p, (0, 1.30, 0.0), (0.158, 0.17, 0.105))
    pecs = egg(p, (0, 1.325, 0.05), (0.135, 0.075, 0.05))
    waist = egg(p, (0, 1.11, 0.0), (0.128, 0.16, 0.092))
    pelvis = egg(p, (0, 0.95, -0.005), (0.148, 0.125, 0.1))
    yoke = cone(q, (0.0, 1.425, -0.02), (0.155, 1.405, -0.018), 0.058, 0.052)
    trapezius = cone(q, (0.02, 1.5, -0.025), (0.12, 1.43, -0.025), 0.035, 0.035)
    return melt(0.07, chest, pecs, waist, pelvis, yoke, trapezius)


ARM = ((0.182, 1.395, -0.015), (0.262, 1.13, -0.03), (0.322, 0.905, 0.03))


def arms(p: Floats) -> Floats:
    q = mirrored(p)
    shoulder, elbow, wrist = ARM
    upper = cone(q, shoulder, elbow, 0.052, 0.039)
    lower = cone(q, elbow, wrist, 0.04, 0.025)
    palm = melt(0.02, cone(q, (0.325, 0.89, 0.033), (0.342, 0.82, 0.045), 0.022, 0.026))
    fingers = [
        cone(
            q,
            (0.34 + dx, 0.815, 0.045 + dz),
            (0.338 + 1.4 * dx, 0.735 + lift, 0.055 + 1.5 * dz),
            0.0105,
            0.0075,
        )
        for dx, dz, lift in (
            (0.006, 0.018, 0.008),
            (0.008, 0.005, 0.0),
            (0.004, -0.009, 0.004),
            (-0.002, -0.021, 0.02),
        )
    ]
    thumb = cone(q, (0.322, 0.865, 0.055), (0.312, 0.79, 0.078), 0.012, 0.009)
    hand = melt(0.015, palm, *fingers, thumb)
    return melt(0.012, melt(0.006, upper, lower), hand)


def shoes(p: Floats) -> Floats:
    q = mirrored(p)
    upper = melt(
        0.03,
        cone(q, (0.109, 0.05, -0.055), (0.128, 0.042, 0.1), 0.045, 0.036),
        cone(q, (0.109, 0.1, -0.035), (0.112, 0.06, -0.02), 0.043, 0.045),
    )
    return np.maximum(upper, 0.004 - p[:, 1])


def folds(p: Floats, size_m: float) -> Floats:
    """Soft creases in cloth."""
    x, y, z = p.T
    wave = np.sin(22 * y + 9 * x + 4 * np.sin(7 * x + 3 * z))
    wave += 0.7 * np.sin(31 * y - 17 * x + 3 * np.sin(9 * y))
    return np.asarray(size_m * wave)


def tee(p: Floats) -> Floats:
    q = mirrored(p)
    shoulder, elbow, _ = ARM
    cuff = tuple(s + 0.56 * (e - s) for s, e in zip(shoulder, elbow, strict=True))
    sleeve = cone(q, shoulder, cuff, 0.06, 0.064)
    along = np.subtract(cuff, shoulder)
    sleeve = np.maximum(sleeve, (q - np.array(cuff)) @ (along / np.linalg.norm(along)))
    skirt = egg(p, (0, 0.9, 0.0), (0.172, 0.36, 0.125))
    drape = melt(0.1, torso(p) - 0.014, skirt)
    cloth = melt(0.035, drape, sleeve)
    cloth += folds(p, 0.0016) * np.clip((1.3 - p[:, 1]) * 4, 0.15, 1)
    cloth = np.maximum(cloth, 0.875 - p[:, 1])
    neck = cone(p, (0, 1.6, -0.04), (0, 1.452, 0.03), 0.075, 0.068)
    return np.maximum(cloth, -neck)


def trousers(p: Floats) -> Floats:
    q = mirrored(p)
    leg = cone(q, (0.084, 0.9, -0.005), (0.112, 0.08, -0.02), 0.094, 0.062)
    seat = egg(p, (0, 0.93, -0.005), (0.158, 0.13, 0.112))
    cloth = melt(0.05, leg, seat) + folds(p[:, [1, 0, 2]] * (0.6, 1.2, 1), 0.0014)
    return np.maximum(np.maximum(cloth, p[:, 1] - 1.0), 0.085 - p[:, 1])


PARTS: tuple[tuple[int, Callable[[Floats], Floats]], ...] = (
    (SKIN, lambda p: melt(0.02, head(p), melt(0.05, torso(p), arms(p)))),
    (TEE, tee),
    (TROUSERS, trousers),
    (SHOES, shoes),
)
#: A box around the mannequin: its middle and half its sides, in metres.
BOX_MIDDLE, BOX_HALF = np.array((0.0, 0.93, 0.02)), np.array((0.42, 0.97, 0.2))


def backdrop(p: Floats) -> Floats:
    """Paper that bends from the floor up into the wall."""
    behind, bend = 1.6, 0.9
    y, z = p[:, 1], p[:, 2] + behind
    corner = bend - np.hypot(np.minimum(y - bend, 0), np.minimum(z - bend, 0))
    return np.where((y < bend) & (z < bend), corner, np.minimum(y, z))


def distances(p: Floats) -> Floats:
    """(points, parts + 1): to each part, and last to the backdrop."""
    to_box = np.linalg.norm(np.maximum(np.abs(p - BOX_MIDDLE) - BOX_HALF, 0), axis=1)
    found = np.repeat(to_box[:, None] + 0.02, len(PARTS) + 1, axis=1)
    found[:, -1] = backdrop(p)
    near = to_box < 0.02
    if near.any():
        found[near, :-1] = np.stack([part(p[near]) for _, part in PARTS], axis=1)
    return found


def distance(p: Floats) -> Floats:
    return np.asarray(distances(p).min(1))


# --------------------------------------------------------------------------- light


def render(cols: int, rows: int) -> NDArray[np.uint8]:
    picture = np.zeros((rows, cols, 3))
    for top in range(0, rows, 64):
        picture[top : top + 64] = band(cols, rows, top, min(top + 64, rows))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def band(cols: int, rows: int, top: int, bottom: int) -> Floats:
    row, col = np.mgrid[top:bottom, 0:cols]
    per_px = ACROSS_M / cols
    aim = np.stack(
        [(col - cols / 2) * per_px, (rows / 2 - row) * per_px, np.full(row.shape, -DISTANCE_M)], -1
    ).reshape(-1, 3)
    ray = aim / np.linalg.norm(aim, axis=1, keepdims=True)
    eye = np.array([0, EYE_M, DISTANCE_M])
    way = march(eye, ray)
    return shaded(eye + way[:, None] * ray, ray).reshape(bottom - top, cols, 3)


def march(eye: Floats, ray: Floats) -> Floats:
    way = np.full(len(ray), DISTANCE_M - 1.0)
    going = np.arange(len(ray))
    for _ in range(MARCH_STEPS):
        step = distance(eye + way[going, None] * ray[going])
        way[going] += 0.9 * step
        going = going[step > HIT_M]
        if not len(going):
            break
    return way


def shaded(p: Floats, ray: Floats) -> Floats:
    kind = np.array([*(kind for kind, _ in PARTS), FLOOR])[distances(p).argmin(1)]
    colour = COLOURS[kind]
    normal = slope(p)
    key = unit((-0.55, 0.75, 0.75))
    fill = unit((0.9, 0.25, 0.5))
    floor = kind == FLOOR
    shade = np.where(floor, standing_shadow(p), 1.0)
    shade[~floor] = shadow(p[~floor] + 0.006 * normal[~floor], key)
    lit = 0.72 * np.clip(normal @ key, 0, 1) * shade
    lit += 0.22 * np.clip(normal @ fill, 0, 1) + 0.44 * (0.75 + 0.25 * normal[:, 1])
    lit[~floor] *= occlusion(p[~floor], normal[~floor])
    shine = np.clip(unit(key - ray) * normal, -1, 1).sum(1).clip(0, 1) ** 24
    gloss = np.where(kind == SKIN, 22.0, 3.0)
    rim = (1 + (ray * normal).sum(1)).clip(0, 1) ** 3
    gloss[floor] = rim[floor] = 0
    return np.asarray(colour * (lit + 0.08 * rim)[:, None] ** 0.92 + (gloss * shine)[:, None])


def unit(vector: object) -> Floats:
    array = np.asarray(vector, float)
    return np.asarray(array / np.linalg.norm(array, axis=-1, keepdims=True))


def slope(p: Floats) -> Floats:
    steps = np.eye(3) * 0.0015
    return unit(np.stack([distance(p + s) - distance(p - s) for s in steps], axis=1))


def shadow(p: Floats, towards: Floats) -> Floats:
    """1 in the light, 0 in full shadow; soft, as from a large lamp."""
    lit, way = np.ones(len(p)), np.full(len(p), 0.012)
    for _ in range(18):
        near = distance(p + way[:, None] * towards)
        lit = np.minimum(lit, np.clip(0.5 + 4 * near / way, 0, 1))
        way += np.clip(near, 0.012, 0.12)
    return lit * lit * (3 - 2 * lit)


def standing_shadow(p: Floats) -> Floats:
    """The soft shadow on the floor, longest away from the key light."""
    x, z = p[:, 0] - 0.1, p[:, 2] + 0.06
    return 1 - 0.75 * np.exp(-((x / 0.34) ** 2) - (z / 0.16) ** 2) * (p[:, 1] < 0.05)


def occlusion(p: Floats, normal: Floats) -> Floats:
    """Darker in creases: how much less room there is than over a plane."""
    dark = np.zeros(len(p))
    for reach in (0.015, 0.04, 0.09):
        dark += (reach - distance(p + reach * normal)).clip(0) / reach * 0.15
    return (1 - dark).clip(0.4, 1)


if __name__ == "__main__":
    main()
