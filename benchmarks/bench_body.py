"""
The accuracy of body measuring: errors, bands, sizes, and which photos are refused.

    python benchmarks/bench_body.py --bodies DIR --ansur DIR [--model POSE.task] [--as-shipped]

The data is not part of the product (see devkit/body_data.py); WEARON_BODIES and WEARON_ANSUR name
its folders too. No body is evaluated by a model that was fitted on it: in each of five folds
everything is fitted again, including bands and anchors, and the product's own code computes sizes
from features. With --as-shipped the product's own coefficients are evaluated instead, for bodies
that they were not fitted on.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from numpy.typing import NDArray
from PIL import Image, ImageFilter

from devkit.body_data import (
    Bodies,
    Renders,
    add_arguments,
    data_folders,
    load_people,
    load_renders,
    load_truth,
)
from devkit.body_fit import (
    GIRTHS,
    WEIGHT_SD_KG,
    Inputs,
    fit_variant,
    folds,
    least_squares,
    take,
    with_one,
)
from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
from wearon_cli.adapters.pose.model_file import require_model
from wearon_cli.core.body.estimate import EstimateRequest, estimate
from wearon_cli.core.body.girths import (
    MEASURES,
    Variant,
    parse_variant,
    predict,
    variant_name,
    variants,
)
from wearon_cli.core.body.photo import read_photo
from wearon_cli.core.body.pose import PoseReader
from wearon_cli.core.body.sizes import SizeOdds, built_in_chart, size_odds, size_of
from wearon_cli.core.body.stated import GarmentKind
from wearon_cli.core.errors import PhotoRefused
from wearon_cli.core.settings import load_settings

Array = NDArray[np.float64]
Photo = NDArray[np.uint8]

#: Rounds of five folds. Each evaluates every body once.
ROUNDS = 4
MEASURED = ("chest", "waist", "hip", "shoulder")
VARIANTS = (
    ("photo and height", Inputs()),
    ("+ weight", Inputs(given=("weight",))),
    ("+ side photo", Inputs(side=True)),
    ("+ side photo and weight", Inputs(side=True, given=("weight",))),
)
#: The project's targets: MAE without the mean offset; see docs/measuring.md.
TARGETS = {
    "photo and height": {"chest": 3.9, "waist": 3.1, "hip": 3.2, "shoulder": 1.1},
    "+ weight": {"chest": 3.3, "waist": 2.5, "hip": 2.5},
    "+ side photo": {"chest": 2.4, "waist": 1.8, "hip": 2.0},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The errors of every body, `ROUNDS` times, in rows."""

    predicted: Array  # (n, 5), in the order of MEASURES
    half_band: Array  # (n, 5)
    truth: Array  # (n, 4), in the order of MEASURED
    sizes: tuple[tuple[SizeOdds, str], ...]  # probabilities and the right size

    def errors(self, measure: str) -> Array:
        i = MEASURED.index(measure)
        return np.asarray(self.predicted[:, i] - self.truth[:, i])

    def coverage(self, measure: str) -> float:
        half = self.half_band[:, MEASURED.index(measure)]
        return float((np.abs(self.errors(measure)) <= half).mean())


def main() -> None:
    args = _arguments()
    folders = data_folders(args)
    people = load_people(folders.ansur)
    with MediaPipePose(args.model or require_model(load_settings())) as reader:
        renders = load_renders(folders.bodies, reader)
        print(f"{len(renders)} rendered bodies, {len(people)} people of ANSUR II; cm throughout\n")
        _girths_and_sizes(people, renders, as_shipped=args.as_shipped)
        _ansur(people)
        _refusals(folders.bodies, reader)


# --------------------------------------------------------------------------- girths


def _girths_and_sizes(people: Bodies, renders: Renders, *, as_shipped: bool) -> None:
    if as_shipped:
        judged = {name: judge_shipped(renders, inputs) for name, inputs in VARIANTS}
    else:
        judged = {name: judge(people, renders, inputs) for name, inputs in VARIANTS}
    print("Renders, as shipped" if as_shipped else "Renders, cross-validated", end=". ")
    print("MAE*: without the mean offset, which is the anchor on people.")
    columns = ("MAE", "bias", "MAE*", "goal", "corr")
    print(f"{'':<34} {' '.join(f'{name:>5}' for name in columns)} {'in band':>8}")
    for name, result in judged.items():
        for measure in MEASURED:
            _girth_row(name, measure, result)
    print("\nSizes of a top (default chart, by chest)")
    print(f"{'':<24} {'exact':>6} {'within one':>11} {'in size_range':>14} {'mean confidence':>16}")
    for name, result in judged.items():
        _size_row(name, result)
    print("\nConfidence against how often the size was right (all four together)")
    _calibration([pair for result in judged.values() for pair in result.sizes])


def judge(people: Bodies, renders: Renders, inputs: Inputs) -> Judged:
    """Every body measured by regressions that were fitted without it."""
    parts: list[Answer] = []
    for round_ in range(ROUNDS):
        for kept, out in folds(len(renders), 100 + round_):
            document = fit_variant(people, renders.take(kept), inputs, repeats=2)
            parts += _answers(renders.take(out), parse_variant("fold", document), seed=round_)
    return _together(parts)


def judge_shipped(renders: Renders, inputs: Inputs) -> Judged:
    """Every body measured as the product does."""
    name = variant_name(side=inputs.side, weight="weight" in inputs.given, sex=False)
    variant = variants()[name]
    return _together([a for seed in range(ROUNDS) for a in _answers(renders, variant, seed=seed)])


#: Girths, half bands, true girths, and the odds of sizes and the right one; of one body.
Answer = tuple[Array, Array, list[float], tuple[SizeOdds, str]]


def _answers(renders: Renders, variant: Variant, *, seed: int) -> Iterator[Answer]:
    chart = built_in_chart("default")
    chance = np.random.default_rng(seed)
    for i in range(len(renders)):
        row = {name: float(column[i]) for name, column in renders.columns.items()}
        row["weight"] += chance.normal(0, WEIGHT_SD_KG)
        girths = predict(row, variant)
        odds = size_odds(chart, GarmentKind.TOP, {m: girths.drawn(m) for m in MEASURES})
        yield (
            girths.middle,
            np.array([np.ptp(girths.band(m)) / 2 for m in MEASURES]),
            [row[m] for m in MEASURED],
            (odds, size_of(chart, GarmentKind.TOP, {"chest": row["chest"]})),
        )


def _together(parts: list[Answer]) -> Judged:
    predicted, half, truth, sizes = zip(*parts, strict=True)
    return Judged(
        predicted=np.array(predicted), half_band=np.array(half), truth=np.array(truth), sizes=sizes
    )


def _girth_row(name: str, measure: str, result: Judged) -> None:
    errors = result.errors(measure)
    goal = TARGETS.get(name, {}).get(measure)
    truth = result.truth[:, MEASURED.index(measure)]
    print(
        f"{name if measure == 'chest' else '':<24} {measure:<9} {np.abs(errors).mean():5.2f} "
        f"{errors.mean():+5.1f} {np.abs(errors - errors.mean()).mean():5.2f} "
        f"{goal or '':>5} {np.corrcoef(truth + errors, truth)[0, 1]:5.2f} "
        f"{result.coverage(measure):8.0%}"
    )


def _size_row(name: str, result: Judged) -> None:
    steps, held = [], []
    for odds, right in result.sizes:
        order = list(odds.odds)
        steps.append(abs(order.index(odds.recommended) - order.index(right)))
        held.append(order.index(odds.lower) <= order.index(right) <= order.index(odds.upper))
    off = np.array(steps)
    claimed = np.mean([odds.confidence for odds, _ in result.sizes])
    print(
        f"{name:<24} {(off == 0).mean():6.0%} {(off <= 1).mean():11.0%} {np.mean(held):14.0%} "
        f"{claimed:16.0%}"
    )


def _calibration(sizes: list[tuple[SizeOdds, str]]) -> None:
    claimed = np.array([odds.confidence for odds, _ in sizes])
    right = np.array([odds.recommended == size for odds, size in sizes])
    edges = (0.0, 0.45, 0.55, 0.65, 0.75, 0.85, 1.01)
    print(f"{'confidence':<14} {'answers':>8} {'said':>6} {'right':>6}")
    gap = 0.0
    for low, high in pairwise(edges):
        which = (claimed >= low) & (claimed < high)
        if which.any():
            said, was = claimed[which].mean(), right[which].mean()
            gap += abs(said - was) * which.mean()
            print(f"{low:.2f} to {min(high, 1):.2f}   {which.sum():8} {said:6.0%} {was:6.0%}")
    print(f"mean gap (expected calibration error): {gap:.1%}")


# --------------------------------------------------------------------------- people


def _ansur(people: Bodies) -> None:
    """The best possible result from a front photo: people's own breadths, measured with a
    caliper.
    """
    print("\nANSUR II, tabular, five folds: MAE from (breadths: shoulders, chest, waist, hip)")
    breadths = ["shoulders_breadth", "chest_breadth", "waist_breadth", "hip_breadth"]
    depths = ["chest_depth", "waist_depth", "hip_depth"]
    for name, inputs in (
        ("stature", ["stature"]),
        ("stature, breadths", ["stature", *breadths]),
        ("stature, breadths, weight", ["stature", *breadths, "weight"]),
        ("stature, breadths, depths", ["stature", *breadths, *depths]),
    ):
        maes = {m: float(np.abs(_tabular(people, m, inputs)).mean()) for m in MEASURED}
        print(f"  {name:<28}", "  ".join(f"{m} {mae:.1f}" for m, mae in maes.items()))


def _tabular(people: Bodies, target: str, inputs: list[str]) -> Array:
    errors = np.empty(len(people))
    for kept, out in folds(len(people), 0):
        slopes = least_squares(take(people, kept), target, inputs)
        judged = take(people, out)
        errors[out] = with_one(judged, inputs) @ slopes - judged.columns[target]
    return errors


# --------------------------------------------------------------------------- refusals


def _refusals(bodies: Path, reader: PoseReader) -> None:
    print("\nPhotos as they come: measured, measured with a warning, or refused")
    truth = {row["id"]: row for row in load_truth(bodies)}
    heights = {name: float(row["stature_cm"]) for name, row in truth.items()}
    _tell("good", (_outcome(bodies / f"{i}.jpg", h, reader) for i, h in heights.items()))
    _tell(
        "good, with side photo",
        (_outcome(bodies / f"{i}.jpg", h, reader, side=i) for i, h in heights.items()),
    )
    for kind in sorted((bodies / "hard").glob("*/")):
        photos = sorted(kind.glob("*.jpg"))
        _tell(kind.name, (_outcome(p, heights[p.stem], reader) for p in photos))
        _tell_errors(photos, truth, reader)
    some = list(heights.items())[::5]
    for name, spoil in SPOILED.items():
        _tell(name, (_outcome(bodies / f"{i}.jpg", h, reader, spoil=spoil) for i, h in some))


def _tell(name: str, outcomes: Iterator[str]) -> None:
    counts = Counter(outcomes)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    print(f"  {name:<26} {summary}")


def _tell_errors(
    photos: list[Path], truth: Mapping[str, Mapping[str, str]], reader: PoseReader
) -> None:
    """Errors of bad photos that are not refused."""
    errors = []
    for path in photos:
        row = truth[path.stem]
        request = EstimateRequest(height_cm=float(row["stature_cm"]))
        try:
            girths = estimate(read_photo(path.read_bytes()), reader, request).girths
        except PhotoRefused:
            continue
        errors.append([abs(girths.value(m) - float(row[f"{m}_cm"])) for m in GIRTHS])
    if errors:
        maes = zip(GIRTHS, np.mean(errors, axis=0), strict=True)
        print(f"  {'':<26} MAE", ", ".join(f"{m} {mae:.1f}" for m, mae in maes))


def _outcome(
    path: Path,
    height_cm: float,
    reader: PoseReader,
    *,
    side: str | None = None,
    spoil: Callable[[Photo], Photo] = lambda photo: photo,
) -> str:
    front = spoil(read_photo(path.read_bytes()))
    side_photo = read_photo((path.parent / "side" / f"{side}.jpg").read_bytes()) if side else None
    try:
        measured = estimate(front, reader, EstimateRequest(height_cm=height_cm), side=side_photo)
    except PhotoRefused as exc:
        return f"refused ({exc.reason})"
    codes = ", ".join(warning.code for warning in measured.warnings)
    return f"measured with a warning ({codes})" if codes else "measured"


def _cut_feet(photo: Photo) -> Photo:
    return np.ascontiguousarray(photo[: round(0.84 * len(photo))])


def _cut_head(photo: Photo) -> Photo:
    return np.ascontiguousarray(photo[round(0.17 * len(photo)) :])


def _blurred(photo: Photo) -> Photo:
    return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(5)))


def _dark(photo: Photo) -> Photo:
    noise = np.random.default_rng(0).normal(0, 2, photo.shape)
    return np.clip(photo * 0.12 + noise, 0, 255).astype(np.uint8)


def _far(photo: Photo) -> Photo:
    rows, cols = photo.shape[:2]
    small = Image.fromarray(photo).resize((cols // 4, rows // 4))
    whole = Image.new("RGB", (cols, rows), tuple(int(v) for v in photo[2, 2]))
    whole.paste(small, (cols // 3, rows // 2))
    return np.asarray(whole)


def _two(photo: Photo) -> Photo:
    return np.ascontiguousarray(np.hstack([photo, photo]))


def _nobody(photo: Photo) -> Photo:
    return np.ascontiguousarray(np.broadcast_to(photo[:1], photo.shape))


SPOILED: Mapping[str, Callable[[Photo], Photo]] = {
    "feet cut off": _cut_feet,
    "head cut off": _cut_head,
    "blurred (sigma 5)": _blurred,
    "dark (an eighth)": _dark,
    "far away (a quarter)": _far,
    "two people": _two,
    "nobody": _nobody,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    add_arguments(parser)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--as-shipped", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
