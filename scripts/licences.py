"""
Write docs/licences.md: what is installed with the product, and under which licence.

    python -m scripts.licences      in an environment made from requirements.lock
"""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
HEAD = """# Licences of dependencies

What `requirements.lock` installs, by the packages' own metadata. Written by
`python -m scripts.licences`.

| package | version | licence |
|---|---|---|
"""


def licence(name: str) -> tuple[str, str] | None:
    """(version, licence) as the package says; None when it is not installed here."""
    try:
        facts = metadata(name)
    except PackageNotFoundError:
        return None
    words = facts.get("License-Expression") or ""
    if not words:
        classified = [
            line.rpartition(" :: ")[2]
            for line in facts.get_all("Classifier") or []
            if line.startswith("License :: ")
        ]
        words = ", ".join(classified) or (facts.get("License") or "not said").splitlines()[0]
    return facts["Version"], words.replace("|", "/")[:80]


def main() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    names = re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)
    rows = []
    for name in sorted(set(names), key=str.lower):
        found = licence(name)
        version, words = found or ("", "not installed on this system")
        rows.append(f"| {name} | {version} | {words} |")
    PAGE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
