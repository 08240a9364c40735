"""Whether our settings fit the platform's own timeouts (docs/platform.md)."""

from typing import Final

from wearon_cli.core.cross_checks import PLATFORM_CRON_S
from wearon_cli.core.image_models import named_model
from wearon_cli.core.operator.checks import Finding
from wearon_cli.core.settings import Settings

#: A payload of the queue contract: person, garment, eight accessories. The platform has no limit
#: for b2c, but more accessories are rare.
USUAL_MOST_PICTURES: Final = 10


def check_platform_fit(settings: Settings) -> list[Finding]:
    """How long jobs wait, and how many pictures they may have."""
    return [_max_wait(settings), _picture_limit(settings), _model_pictures(settings)]


def _max_wait(settings: Settings) -> Finding:
    wait_s, buy_s = settings.max_wait_s, settings.b2c_buy_within_s
    if wait_s <= PLATFORM_CRON_S:
        return Finding(
            name="max wait",
            ok=True,
            detail=f"jobs wait at most {wait_s:g} s; the platform ends b2c sessions after "
            f"{PLATFORM_CRON_S:g} s",
        )
    return Finding(
        name="max wait",
        ok=True,
        warning=True,
        detail=f"jobs may wait {wait_s:g} s, but the platform fails and refunds b2c sessions "
        f"after {PLATFORM_CRON_S:g} s: no pictures are bought for them after {buy_s:g} s, "
        "and only b2b jobs wait longer",
        hint=f"set WEARON_MAX_WAIT_S to {PLATFORM_CRON_S:g} if you only serve b2c, or keep it for "
        "b2b",
    )


def _picture_limit(settings: Settings) -> Finding:
    limit, jobs = settings.input_images_per_minute, settings.requests_per_minute
    name = "picture limit"
    if limit is None:
        return Finding(name=name, ok=True, detail="input pictures a minute are not limited")
    most = USUAL_MOST_PICTURES
    detail = f"{limit} input pictures a minute for {jobs} requests"
    if limit < most:
        return Finding(
            name=name,
            ok=True,
            warning=True,
            detail=f"{detail}: one job of {most} pictures exceeds the limit, and the image API "
            "may refuse it",
            hint=f"set WEARON_INPUT_IMAGES_PER_MINUTE to {most} or more, or unset it",
        )
    if limit < most * jobs:
        detail += f": of jobs with {most} pictures, {limit // most} a minute; with 2, {limit // 2}"
    return Finding(name=name, ok=True, detail=detail)


def _model_pictures(settings: Settings) -> Finding:
    models = [*map(named_model, settings.model_names)]
    most = max(model.max_pictures for model in models)
    name, wanted = "pictures of a job", USUAL_MOST_PICTURES
    if most >= wanted:
        return Finding(name=name, ok=True, detail=f"up to {most} are used")
    return Finding(
        name=name,
        ok=True,
        warning=True,
        detail=f"no model accepts more than {most}: some accessories of jobs with up to {wanted} "
        "are skipped",
        hint="if accessories matter, add a model that accepts more",
    )
