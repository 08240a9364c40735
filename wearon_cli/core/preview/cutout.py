"""
Separates one object from the rest of a photo by colour, position and edges.

Colours of both sides are learnt as histograms and the labels are smoothed along the photo's edges,
in turn, as GrabCut does; a random walk takes the place of the graph cut, so that NumPy is enough.

Source:
    C. Rother et al., "GrabCut", SIGGRAPH 2004; L. Grady, "Multilabel random walker segmentation
    using prior models", CVPR 2005.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from wearon_cli.core.preview.rasters import Floats, Rgb

#: Bins of a histogram along each of its three axes; a colour counts for the next bins as well.
BINS: Final = 32
ROUNDS: Final = 6  # how often colours and labels are learnt from each other
#: Colour difference (0..255) over which two neighbours are hardly one thing, over the photo's own
#: usual difference: 2 would be GrabCut's choice.
CONTRAST: Final = 2.0
OWN_WEIGHT: Final = 0.12  # how much a pixel's own colour counts against its four neighbours' labels
UNSEEN: Final = 2e-5  # A colour that was never seen says nothing: shares this small are a tie
STEPS: Final = 60  # steps of the solver at most, and the share of the first error at which it stops
ENOUGH: Final = 1e-3


def cut_out(
    rgb: Rgb,
    prior: Floats,
    *,
    start: Floats | None = None,
    within: Floats | None = None,
    rounds: int = ROUNDS,
) -> Floats:
    """
    Label the pixels of one object.

    Args:
        rgb: (rows, cols, 3) uint8.
        prior: (rows, cols), 0..1: how likely a pixel belongs to it, before its colour is seen. 0
            and 1 are sure.
        start: The labels from which colours are first learnt; without it, the prior.
        within: (rows, cols), 0..1: how much each pixel counts when colours are learnt; all alike
            without it.
        rounds: How often colours and labels are learnt from each other.

    Returns:
        (rows, cols), 0..1.
    """
    bins = _bins(rgb)
    right, down = _bonds(rgb)
    counts = np.ones_like(prior) if within is None else within
    label = prior if start is None else start
    for _ in range(rounds):
        own = _posterior(bins, prior, label, counts)
        label = _walk(own, right, down, sure=(prior <= 0) | (prior >= 1))
    return label


def _bins(rgb: Rgb) -> NDArray[np.intp]:
    """Each pixel's cell in a histogram over brightness and two colour differences."""
    values = rgb.astype(float)
    red, green, blue = values[..., 0], values[..., 1], values[..., 2]
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    # Colour differences are small numbers: they get finer bins.
    axes = (luma / 256, 0.5 + (red - luma) / 256, 0.5 + (blue - luma) / 256)
    cells = [np.clip(axis * BINS, 0, BINS - 1).astype(np.intp) for axis in axes]
    return np.asarray((cells[0] * BINS + cells[1]) * BINS + cells[2])


def _posterior(bins: NDArray[np.intp], prior: Floats, label: Floats, counts: Floats) -> Floats:
    shares = label * counts, (1 - label) * counts
    inside, outside = (_histogram(bins, share)[bins] for share in shares)
    inside, outside = inside * prior, outside * (1 - prior)
    return np.asarray(inside / np.maximum(inside + outside, 1e-12))


def _histogram(bins: NDArray[np.intp], weight: Floats) -> Floats:
    count = np.bincount(bins.ravel(), weight.ravel(), BINS**3).reshape(BINS, BINS, BINS)
    for axis in range(3):
        line = np.moveaxis(count, axis, 0)
        line = np.pad(line, ((1, 1), (0, 0), (0, 0)))
        count = np.moveaxis(0.25 * line[:-2] + 0.5 * line[1:-1] + 0.25 * line[2:], 0, axis)
    return (count / max(float(weight.sum()), 1.0) + UNSEEN).ravel()


def _bonds(rgb: Rgb) -> tuple[Floats, Floats]:
    """How strongly each pixel is bound to the one at its right, and below: 0..1."""
    values = rgb.astype(float)
    right = np.square(np.diff(values, axis=1)).sum(2)
    down = np.square(np.diff(values, axis=0)).sum(2)
    usual = CONTRAST * max(float((right.mean() + down.mean()) / 2), 1.0)
    return np.exp(-right / usual) + 0.01, np.exp(-down / usual) + 0.01


def _walk(own: Floats, right: Floats, down: Floats, sure: NDArray[np.bool_]) -> Floats:
    """Smooth labels along the bonds: conjugate gradients on the random walk's linear system."""
    weight = np.where(sure, 100.0, OWN_WEIGHT * np.abs(2 * own - 1) + 0.002)

    def applied(x: Floats) -> Floats:
        across, along = right * np.diff(x, axis=1), down * np.diff(x, axis=0)
        across = np.diff(across, axis=1, prepend=0, append=0)
        return weight * x - across - np.diff(along, axis=0, prepend=0, append=0)

    sides = np.pad(right, ((0, 0), (1, 1))), np.pad(down, ((1, 1), (0, 0)))
    diagonal = weight + sides[0][:, 1:] + sides[0][:, :-1] + sides[1][1:] + sides[1][:-1]
    x, direction, before = own, np.zeros_like(own), np.inf
    rest = weight * own - applied(x)
    enough = ENOUGH * float((rest * rest / diagonal).sum())
    for _ in range(STEPS):
        size = float((rest * rest / diagonal).sum())
        if size <= enough:
            break
        direction = rest / diagonal + size / before * direction
        moved = applied(direction)
        step = size / float((direction * moved).sum())
        x, rest, before = x + step * direction, rest - step * moved, size
    return np.clip(x, 0, 1)
