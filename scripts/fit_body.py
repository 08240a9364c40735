"""
Fit the coefficients of body measuring and write them into the package.

    python scripts/fit_body.py --data DIR [--model POSE.task] [--out FILE]

Reads the renders and ANSUR II from the data folder, and writes `girths.json` with every
coefficient, its cross-validated error, its band and its anchor.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from body_data import Bodies, Renders, data_folder, load_people, load_renders
from body_fit import (
    FITTED,
    FRONT,
    PENALTY,
    WEIGHT_COPIES,
    anchor_cm,
    cross_validated,
    fit,
    with_weight_error,
)

from wearon_cli.adapters.mediapipe_pose import MediaPipePose
from wearon_cli.core.body.girths import MEASURES, variant_name

OUT = Path(__file__).parent.parent / "wearon_cli" / "core" / "body" / "girths.json"


def main() -> None:
    args = _arguments()
    folder = data_folder(args.data)
    people = load_people(folder)
    with MediaPipePose(args.model) as reader:
        renders = load_renders(folder, reader)
    variants = {}
    for weight in (False, True):
        for sex in (False, True):
            told = ["weight"] * weight + ["male"] * sex
            name = variant_name(side=False, weight=weight, sex=sex)
            variants[name] = _variant(people, renders, told, side=False)
    document = {"source": SOURCE, "units": "cm; weight in kg; male is 1 or 0", "variants": variants}
    args.out.write_text(json.dumps(document, indent=1) + "\n")


SOURCE = (
    "Shape: ridge regressions on renders of a parametric body model (its code Apache-2.0, its "
    "bodies CC0). Offsets and inseam: ANSUR II, the 2012 anthropometric survey of US Army "
    "personnel (public domain). Written by scripts/fit_body.py; see docs/measuring.md."
)


def _variant(
    people: Bodies, renders: Renders, told: Sequence[str], *, side: bool
) -> dict[str, object]:
    part: dict[str, object] = {}
    residuals = []
    for target in FITTED:
        entry, errors = _fitted(people, renders, target, told, side=side)
        part[target] = entry
        residuals.append(errors - errors.mean())
    part["inseam"] = _inseam(people, told)
    correlation = np.eye(len(MEASURES))
    correlation[: len(FITTED), : len(FITTED)] = np.corrcoef(residuals)
    return {**part, "correlation": correlation.round(3).tolist()}


def _fitted(
    people: Bodies, renders: Renders, target: str, told: Sequence[str], *, side: bool
) -> tuple[dict[str, object], np.ndarray]:
    inputs = [*FRONT, *(t for t in told if _helps(renders, target, t, told))]
    errors = cross_validated(renders, target, inputs)
    anchor = anchor_cm(people, renders, target, side=side, told=told)
    band = float(np.quantile(np.abs(errors + anchor), 0.8))
    bodies = with_weight_error(renders, WEIGHT_COPIES, 7) if "weight" in inputs else renders
    model = fit(bodies, target, inputs, PENALTY[target])
    entry = {
        "cv_mae_cm": round(float(np.abs(errors).mean()), 2),
        "band_80_cm": round(band, 2),
        "anchor_cm": round(anchor, 2),
        "constant": round(model.constant + anchor, 3),
        "per_unit": {
            name: round(float(slope), 5)
            for name, slope in zip(model.inputs, model.per_unit, strict=True)
        },
    }
    print(target, told, {k: entry[k] for k in ("cv_mae_cm", "band_80_cm", "anchor_cm")})
    return entry, errors.mean(axis=0)


def _helps(renders: Renders, target: str, one: str, told: Sequence[str]) -> bool:
    """An input that does not lower the cross-validated error is left out of that measure."""
    others = [*FRONT, *(t for t in told if t != one)]
    without = np.abs(cross_validated(renders, target, others, repeats=4)).mean()
    with_it = np.abs(cross_validated(renders, target, [*others, one], repeats=4)).mean()
    return bool(with_it < without - 0.02)


def _inseam(people: Bodies, told: Sequence[str]) -> dict[str, object]:
    """Crotch height from stature (and sex), on people alone: the renders have no truth for it."""
    inputs = ["stature", *(t for t in told if t == "male")]
    table = np.column_stack([np.ones(len(people)), people.table(inputs)])
    slopes = np.linalg.lstsq(table, people.columns["inseam"], rcond=None)[0]
    errors = table @ slopes - people.columns["inseam"]
    return {
        "cv_mae_cm": round(float(np.abs(errors).mean()), 2),
        "band_80_cm": round(float(np.quantile(np.abs(errors), 0.8)), 2),
        "anchor_cm": 0.0,
        "constant": round(float(slopes[0]), 3),
        "per_unit": {n: round(float(s), 5) for n, s in zip(inputs, slopes[1:], strict=True)},
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
