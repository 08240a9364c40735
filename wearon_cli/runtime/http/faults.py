"""All validation errors of a request, without the values sent: they may be signed addresses."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from wearon_cli.core.body.stated import HEIGHT_RANGE_CM, WEIGHT_RANGE_KG
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
#: What a value that cannot be used should have been, by field.
_WANTED: Final = {
    "height_cm": "a number of centimetres, {:g} to {:g}".format(*HEIGHT_RANGE_CM),
    "weight_kg": "a number of kilograms, {:g} to {:g}".format(*WEIGHT_RANGE_KG),
    "image": "a JPEG, PNG or WebP file; with curl: --form image=@front.jpg",
    "side_image": "a JPEG, PNG or WebP file; with curl: --form side_image=@side.jpg",
}
_FORM_HINT: Final = "let the HTTP library build the form; with curl: --form image=@front.jpg"
#: Our own message for what the parser takes without a word.
CUT_FORM: Final = "No end"
#: How the form parser's messages begin, with ours.
_FORM_FAULTS: Final = {
    "Missing boundary": "the form has no boundary in its Content-Type",
    "Too many fields": "the form has too many fields",
    "Too many files": "the form has too many files",
    "Part exceeded": "a text field of the form is too large",
    "The Content-Disposition": "a part of the form has no name",
    "Invalid multipart": "the form is damaged",
    CUT_FORM: "the form ends before its last boundary",
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


def form_fault(message: str) -> Fault:
    """
    Args:
        message: The form parser's, or `CUT_FORM`.
    """
    ours = (text for begin, text in _FORM_FAULTS.items() if message.startswith(begin))
    return Fault(field="", detail=next(ours, "the form cannot be read"), hint=_FORM_HINT)


def told(faults: Sequence[Fault]) -> str:
    """All of them in one text."""
    further = len(faults) - MOST_FAULTS
    sentences = [*map(_sentence, faults[:MOST_FAULTS])]
    return "; ".join([*sentences, f"and {further} more"] if further > 0 else sentences)


def _sentence(fault: Fault) -> str:
    if not fault.field:
        return fault.detail
    return f"{fault.field}: {fault.detail}" + (f" ({fault.hint})" if fault.hint else "")


def _fault(found: ErrorDetails, names: Sequence[str]) -> Fault:
    field = _place(found["loc"])
    text = _TEXTS.get(found["type"]) or found["msg"].removeprefix("Value error, ")
    is_unknown = found["type"] == "extra_forbidden" and len(found["loc"]) == 1
    if is_unknown:
        near = _near_name(field, names)
        return Fault(field=field, detail=text, hint=f"did you mean {near}?" if near else "")
    hint = "" if found["type"] == "missing" else _WANTED.get(field, "")
    return Fault(field=field, detail=text, hint=hint)


def _near_name(field: str, names: Sequence[str]) -> str | None:
    meant = _ALSO_CALLED.get(field.lower(), field.lower())
    return next(iter(get_close_matches(meant, names, n=1, cutoff=_ALIKE)), None)


def _place(location: tuple[int | str, ...]) -> str:
    field, *inside = map(str, location) if location else ("",)
    if field == "chart" and inside[:1] and inside[0] in _TAGS:
        inside = inside[1:]
    return ".".join((field, *inside))[:MOST_NAME_CHARS]
