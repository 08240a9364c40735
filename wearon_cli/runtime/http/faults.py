"""All validation errors of a request, without the values sent: they may be signed addresses."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from wearon_cli.runtime.http.schemas import Fault

#: Most errors listed.
MOST_FAULTS: Final = 16
MOST_NAME_CHARS: Final = 60
#: How similar a name must be to be suggested: "height" is 0.8 like height_cm.
_ALIKE: Final = 0.6
#: Common wrong names that are not similar.
_ALSO_CALLED: Final = {"gender": "sex", "photo": "image", "picture": "image", "file": "image"}
_TEXTS: Final = {
    "missing": "is missing",
    "extra_forbidden": "there is no such field",
    "bytes_type": "must be a file",
    "model_type": "the request is not a JSON object",
    "model_attributes_type": "the request is not a JSON object",
}
#: Parts of a fault's place that name a form of `chart` instead of a field.
_TAGS: Final = frozenset({"name", "chart"})


def faults_of(error: ValidationError, names: Sequence[str]) -> list[Fault]:
    """
    Args:
        error: What pydantic found.
        names: The fields there are.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [_fault(each, names) for each in found]


def told(faults: Sequence[Fault]) -> str:
    """All of them in one text."""
    further = len(faults) - MOST_FAULTS
    sentences = [*map(_sentence, faults[:MOST_FAULTS])]
    return "; ".join([*sentences, f"and {further} more"] if further > 0 else sentences)


def _sentence(fault: Fault) -> str:
    place = f"{fault.field}: " if fault.field else ""
    return f"{place}{fault.detail}" + (f" ({fault.hint})" if fault.hint else "")


def _fault(found: ErrorDetails, names: Sequence[str]) -> Fault:
    field = _place(found["loc"])
    text = _TEXTS.get(found["type"]) or found["msg"].removeprefix("Value error, ")
    is_unknown = found["type"] == "extra_forbidden" and len(found["loc"]) == 1
    near = _near_name(field, names) if is_unknown else None
    return Fault(field=field, detail=text, hint=f"did you mean {near}?" if near else "")


def _near_name(field: str, names: Sequence[str]) -> str | None:
    meant = _ALSO_CALLED.get(field.lower(), field.lower())
    return next(iter(get_close_matches(meant, names, n=1, cutoff=_ALIKE)), None)


def _place(location: tuple[int | str, ...]) -> str:
    field, *inside = map(str, location) if location else ("",)
    if field == "chart" and inside[:1] and inside[0] in _TAGS:
        inside = inside[1:]
    return ".".join((field, *inside))[:MOST_NAME_CHARS]
