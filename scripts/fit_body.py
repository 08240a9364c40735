"""
Fit the coefficients of body measuring and write them into the package.

    python scripts/fit_body.py --bodies DIR --ansur DIR --model POSE.task [--out FILE]

Reads the renders and ANSUR II (see `body_data.py`), and writes `girths.json` with every
coefficient, its cross-validated error, its band and its anchor.
"""

import argparse
import json
from itertools import product
from pathlib import Path

from devkit.body_data import add_arguments, data_folders, load_people, load_renders
from devkit.body_fit import Inputs, fit_clothing, fit_variant, fit_weight
from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
from wearon_cli.core.body.girths import MEASURES, variant_name

OUT = Path(__file__).parent.parent / "wearon_cli" / "core" / "body" / "girths.json"
SOURCE = (
    "Shape: ridge regressions on renders of a parametric body model (its code Apache-2.0, its "
    "bodies CC0). Offsets and inseam: ANSUR II, the 2012 anthropometric survey of US Army "
    "personnel (public domain). Written by scripts/fit_body.py; see docs/measuring.md."
)
UNITS = "cm; weight in kg; male is 1 or 0"


def main() -> None:
    args = _arguments()
    folders = data_folders(args)
    people = load_people(folders.ansur)
    with MediaPipePose(args.model) as reader:
        renders = load_renders(folders.bodies, reader)
    variants = {}
    for side, weight, sex in product((False, True), repeat=3):
        name = variant_name(side=side, weight=weight, sex=sex)
        given = ("weight",) * weight + ("male",) * sex
        part = fit_variant(people, renders, Inputs(side=side, given=given))
        variants[name] = part
        print(name, {m: (part[m]["cv_mae_cm"], part[m]["band_80_cm"]) for m in MEASURES})
    clothing = fit_clothing(renders)
    print("clothes are suspected from", clothing["suspect_cm"], "cm")
    weights = fit_weight(renders)
    print("weight given over weight expected:", weights["given_over_expected"])
    document = {
        "source": SOURCE,
        "units": UNITS,
        "variants": variants,
        "clothing": clothing,
        "weight": weights,
    }
    args.out.write_text(json.dumps(document, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    add_arguments(parser)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
