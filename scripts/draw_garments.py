"""
Draws the two sample garments as flat product photos: `python scripts/draw_garments.py`.

Outlines are in centimetres from the top of the collar, for the right half; the left half mirrors
it.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

ASSETS = Path(__file__).parent.parent / "wearon_cli" / "assets"
SIDE_PX = 1024
FINE = 2  # drawn this many times larger, then reduced: smooth edges
BACKDROP = (246, 246, 244)

type Points = list[tuple[float, float]]
type Floats = NDArray[np.floating]


def main() -> None:
    tee = Garment(
        body=[(9, 0), (23, 4.5), (25, 11), (25, 21), (24.4, 45), (25.6, 69.5)],
        sleeve=[(22, 4), (24.5, 5.5), (38, 19.5), (29.5, 26.5), (25, 20), (24, 10)],
        neck_depth=9.5,
        px_per_cm=12.4,
    )
    save(tee.photo((178, 58, 46), sunrise), "garment_tee.jpg")
    sweater = Garment(
        body=[(9, 0), (22, 4.5), (25, 12), (25, 23), (25, 45), (24.6, 66)],
        sleeve=[(21, 4), (25, 6.5), (31, 20), (43.5, 59), (36, 61.5), (25.3, 25), (24, 10)],
        neck_depth=7.5,
        px_per_cm=11.2,
    )
    save(sweater.photo((38, 52, 84), stripes), "garment_sweater.jpg")


def save(photo: Image.Image, name: str) -> None:
    ASSETS.mkdir(exist_ok=True)
    photo.save(ASSETS / name, quality=88, optimize=True)


class Garment:
    """A garment with its outline, which can be drawn in any colour."""

    def __init__(
        self, *, body: Points, sleeve: Points, neck_depth: float, px_per_cm: float
    ) -> None:
        self.body, self.sleeve, self.neck_depth = body, sleeve, neck_depth
        self.scale = px_per_cm * FINE
        self.top = (SIDE_PX * FINE - body[-1][1] * self.scale) / 2

    def photo(
        self,
        colour: tuple[int, int, int],
        pattern: Callable[["Garment", NDArray[np.float64]], None],
    ) -> Image.Image:
        """Cloth, pattern, folds, seams, and a soft shadow on the backdrop."""
        shape = self.silhouette()
        cloth = np.empty((*np.array(shape).shape, 3))
        cloth[:] = colour
        pattern(self, cloth)
        cloth *= self.folds(shape)[..., None]
        lit = Image.fromarray(np.clip(cloth, 0, 255).astype(np.uint8))
        self.stitch(lit)
        canvas = Image.new("RGB", lit.size, BACKDROP)
        canvas.paste(lit, mask=shape)
        return canvas.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)

    def silhouette(self) -> Image.Image:
        shape = Image.new("L", (SIDE_PX * FINE, SIDE_PX * FINE))
        draw = ImageDraw.Draw(shape)
        for side in (1, -1):
            draw.polygon(self.px(self.sleeve, side), fill=255)
        hem = [(x * self.body[-1][0], self.hem(x)) for x in np.linspace(1, -1, 41)]
        left = [(-x, y) for x, y in reversed(self.body)]
        neck = self.neckline(self.neck_depth)
        draw.polygon(self.px([*self.body, *hem, *left, *neck], 1), fill=255)
        # Cloth has no sharp corners.
        soft = shape.filter(ImageFilter.GaussianBlur(6 * FINE))
        return soft.point([min(max((v - 120) * 16, 0), 255) for v in range(256)])

    def hem(self, x: float) -> float:
        return self.body[-1][1] + 1.2 * (1 - x * x)

    def neckline(self, depth: float, width: float = 9) -> Points:
        angles = np.linspace(np.pi, 0, 41)
        return [(width * np.cos(a), depth * np.sin(a)) for a in angles]

    def px(self, points: Iterable[tuple[float, float]], side: int) -> Points:
        middle = SIDE_PX * FINE / 2
        return [(middle + side * x * self.scale, self.top + y * self.scale) for x, y in points]

    def folds(self, shape: Image.Image) -> Floats:
        """Light on the cloth, around 1: shading towards the edges, and soft creases."""
        edge = np.array(shape.filter(ImageFilter.GaussianBlur(14 * FINE)), float) / 255
        light = 0.72 + 0.30 * np.clip((edge - 0.4) / 0.5, 0, 1)
        rows, cols = edge.shape
        y, x = np.mgrid[0:rows, 0:cols] / (100.0 * FINE)
        for slant, period, weight in ((0.35, 1.9, 0.028), (-0.5, 2.6, 0.025), (0.05, 1.1, 0.014)):
            wave = np.sin((x + slant * y) * 2 * np.pi / period + 1.3 * np.sin(y * 1.4 + slant))
            light += weight * wave * (0.5 + 0.5 * np.sin(y * 0.8 + 4 * slant))
        grain = np.random.default_rng(7).normal(0, 0.012, edge.shape)
        return light + grain

    def stitch(self, cloth: Image.Image) -> None:
        """Collar, hem and armhole seams."""
        ink = Image.new("L", cloth.size)
        draw = ImageDraw.Draw(ink)
        for depth, width in ((2.2, 10.6), (2.6, 11.0)):
            line = self.px(self.neckline(self.neck_depth + depth, width), 1)
            draw.line(line, fill=90, width=2 * FINE)
        for up in (2.0, 2.4):
            line = [(x * 30, self.hem(x) - up) for x in np.linspace(-1, 1, 41)]
            draw.line(self.px(line, 1), fill=60, width=FINE)
        for side in (1, -1):
            seam = [(23, 4), (22, 9), (22.4, 15), (25.4, 21)]
            draw.line(self.px(seam, side), fill=80, width=2 * FINE, joint="curve")
        ink = ink.filter(ImageFilter.GaussianBlur(FINE))
        cloth.paste((20, 20, 24), mask=ink)


def sunrise(garment: Garment, cloth: NDArray[np.float64]) -> None:
    """A sun over waves, printed on the chest."""
    art = Image.new("L", (cloth.shape[1], cloth.shape[0]))
    draw = ImageDraw.Draw(art)
    circle = [(9 * np.cos(a), 29 - 9 * np.sin(a)) for a in np.linspace(0, np.pi, 60)]
    draw.polygon(garment.px(circle, 1), fill=255)
    for ray in np.linspace(0.12, np.pi - 0.12, 9):
        ends = [(r * np.cos(ray), 29 - r * np.sin(ray)) for r in (10.5, 13.5)]
        draw.line(garment.px(ends, 1), fill=255, width=int(1.0 * garment.scale))
    for row in range(3):
        wave = [
            (x, 31.2 + 2.4 * row + 0.6 * np.sin(x * 1.1 + row)) for x in np.linspace(-13, 13, 80)
        ]
        draw.line(garment.px(wave, 1), fill=255, width=int(0.9 * garment.scale), joint="curve")
    print_on(cloth, art, (244, 226, 190))


def stripes(garment: Garment, cloth: NDArray[np.float64]) -> None:
    """Cream stripes across, a plain yoke, dark cuffs."""
    art = Image.new("L", (cloth.shape[1], cloth.shape[0]))
    draw = ImageDraw.Draw(art)
    for top in np.arange(17, 54, 6.0):
        band = [(-60, top), (60, top), (60, top + 2.4), (-60, top + 2.4)]
        draw.polygon(garment.px(band, 1), fill=255)
    print_on(cloth, art, (222, 208, 178))


def print_on(cloth: NDArray[np.float64], art: Image.Image, colour: tuple[int, int, int]) -> None:
    share = np.array(art, float)[..., None] / 255 * 0.94
    cloth[:] = cloth * (1 - share) + np.array(colour) * share


if __name__ == "__main__":
    main()
