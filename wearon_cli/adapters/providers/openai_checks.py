"""Whether the image API takes our key and has our models. Asks for descriptions only: no cost."""

from datetime import date
from typing import Final

import httpx

from wearon_cli.core.image_models import image_model, is_known
from wearon_cli.core.operator.checks import Finding

#: A model that closes within this time gets a warning.
NOTICE_DAYS: Final = 60


async def check_image_api(
    http: httpx.AsyncClient, models: tuple[str, ...], *, today: date
) -> list[Finding]:
    """One finding for the key, one for each model that is configured."""
    findings: list[Finding] = []
    for model_id in models:
        try:
            answer = await http.get(f"models/{model_id}", timeout=5.0)
        except httpx.HTTPError:
            return [_away()]
        if answer.status_code in {401, 403} and not findings:
            return [_bad_key()]
        findings.append(_model(model_id, answer.status_code, today))
    usable = any(finding.ok for finding in findings)
    key = Finding(name="image API key", ok=True, detail="is taken")
    if not usable:
        findings.append(
            Finding(
                name="image models",
                ok=False,
                detail="none of OPENAI_IMAGE_MODELS can be used",
                hint="name one that this account has access to",
            )
        )
    return [key, *findings]


def _away() -> Finding:
    return Finding(
        name="image API",
        ok=False,
        detail="does not answer",
        hint="check the network and OPENAI_BASE_URL",
    )


def _bad_key() -> Finding:
    return Finding(
        name="image API key",
        ok=False,
        detail="is refused",
        hint="put a valid one into OPENAI_API_KEY",
    )


def _model(model_id: str, status: int, today: date) -> Finding:
    name = f"model {model_id}"
    if status != httpx.codes.OK:
        return Finding(
            name=name,
            ok=False,
            detail=f"cannot be used (status {status})",
            hint="take it out of OPENAI_IMAGE_MODELS, or get access to it",
        )
    closes = image_model(model_id).shuts_down
    if closes is not None and (closes - today).days <= NOTICE_DAYS:
        left = (closes - today).days
        detail = f"closes on {closes}, in {left} days" if left >= 0 else f"closed on {closes}"
        return Finding(
            name=name,
            ok=True,
            warning=True,
            detail=detail,
            hint="put its successor before it in OPENAI_IMAGE_MODELS",
        )
    if not is_known(model_id):
        return Finding(
            name=name,
            ok=True,
            warning=True,
            detail="works; its price is not known here, so costs are not estimated",
            hint="upgrade wearon-cli",
        )
    return Finding(name=name, ok=True, detail="can be used")
