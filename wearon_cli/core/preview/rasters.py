"""Small operations on arrays of pixels: blurring, growing, connected pieces, interpolation."""

import numpy as np
from numpy.typing import NDArray

type Rgb = NDArray[np.uint8]
type Mask = NDArray[np.bool_]
type Floats = NDArray[np.float64]


def soften(values: Floats, radius: float) -> Floats:
    """Blur (rows, cols): three running means are close to a Gauss curve of this deviation."""
    reach = max(1, round(radius))
    window = 2 * reach + 1
    for _ in (0, 1):
        # Sums run fastest along rows that lie in memory as they are.
        values = np.ascontiguousarray(values.T)
        for _ in range(3 if values.shape[1] > 1 else 0):
            total = np.cumsum(np.pad(values, ((0, 0), (reach + 1, reach)), mode="edge"), axis=1)
            values = (total[:, window:] - total[:, :-window]) / window
    return np.asarray(values)


def soften_line(values: Floats, radius: float) -> Floats:
    """Blur (n,) alike."""
    return np.asarray(soften(values[None], radius)[0])


def median(values: Floats, reach: int) -> Floats:
    """The running median of a line."""
    padded = np.pad(values, reach, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), 1))


def reach(mask: Mask, start: Floats, direction: Floats, most: int) -> Floats:
    """Steps from places (n, 2) in a direction, (2,) or (n, 2), until the mask ends: (n,)."""
    steps = np.arange(most)[:, None, None]
    col, row = np.moveaxis(np.rint(start + steps * direction).astype(int), -1, 0)
    rows, cols = mask.shape
    inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
    outside = ~(inside & mask[np.clip(row, 0, rows - 1), np.clip(col, 0, cols - 1)])
    return np.where(outside.any(0), outside.argmax(0), float(most))


def flood(seed: Mask, allowed: Mask) -> Mask:
    """The parts of `allowed` that are connected to `seed` over sides."""
    reached = seed & allowed
    while True:
        before = int(reached.sum())
        reached = _spread(_spread(reached, allowed).T, allowed.T).T
        if int(reached.sum()) == before:
            return reached


def largest(mask: Mask) -> Mask:
    """The largest connected piece."""
    best, rest = np.zeros_like(mask), mask.copy()
    while int(rest.sum()) > int(best.sum()):
        seed = np.zeros_like(mask)
        seed.flat[int(rest.argmax())] = True
        piece = flood(seed, rest)
        rest &= ~piece
        if piece.sum() > best.sum():
            best = piece
    return best


def holes(mask: Mask) -> Mask:
    """What a mask encloses."""
    outside = np.pad(~mask, 1, constant_values=True)
    seed = np.zeros_like(outside)
    seed[0] = True
    return np.asarray((outside & ~flood(seed, outside))[1:-1, 1:-1])


def _spread(reached: Mask, allowed: Mask) -> Mask:
    """Fill every run of `allowed` along the rows that holds a reached pixel."""
    rows, cols = allowed.shape
    runs = np.cumsum(~allowed, axis=1) + np.arange(rows)[:, None] * (cols + 1)
    hit = np.zeros(rows * (cols + 1), bool)
    hit[runs[reached]] = True
    return np.asarray(allowed & hit[runs])


def eroded(mask: Mask, radius: int) -> Mask:
    """Without what is nearer than a radius to an edge; the photo's border is none."""
    return ~grown(~mask, radius)


def grown(mask: Mask, radius: int) -> Mask:
    """With all that is nearer than a radius (a square around each pixel)."""
    for _ in (0, 1):
        total = np.cumsum(np.pad(mask.T, ((0, 0), (radius + 1, radius))), axis=1)
        mask = total[:, 2 * radius + 1 :] > total[:, : -2 * radius - 1]
    return mask


def ends(mask: Mask) -> tuple[Floats, Floats]:
    """First and last true of each row; 0 and the last column where there is none."""
    first = mask.argmax(1).astype(float)
    last = mask.shape[1] - 1 - mask[:, ::-1].argmax(1).astype(float)
    return first, last
