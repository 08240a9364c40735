"""What `wearon doctor` says about settings that do not fit the platform."""

from typing import Any

import pytest

from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops.platform_checks import check_platform_fit


def told(**settings: Any) -> dict[str, tuple[bool, str]]:
    """Whether it warns, and the whole text, of each check."""
    findings = check_platform_fit(Settings(**settings))
    assert all(finding.ok for finding in findings)  # deploy.sh does not roll back for them
    assert all(finding.hint for finding in findings if finding.warning)
    return {f.name: (f.warning, f"{f.detail} {f.hint}") for f in findings}


@pytest.mark.parametrize(("wait_s", "warns"), [(1800.0, True), (601.0, True), (600.0, False)])
def test_a_wait_longer_than_the_platforms_cron_is_reported(wait_s: float, warns: bool) -> None:
    warning, text = told(max_wait_s=wait_s)["max wait"]
    assert warning is warns
    assert "600 s" in text
    assert ("350 s" in text) is warns  # when buying for b2c ends


@pytest.mark.parametrize(
    ("limit", "warns", "text"),
    [
        pytest.param(None, False, "not limited", id="none"),
        pytest.param(9, True, "exceeds the limit", id="under one job"),
        pytest.param(250, False, "25 a minute; with 2, 125", id="it is the pace"),
        pytest.param(3000, False, "3000 input pictures", id="enough for every request"),
    ],
)
def test_a_picture_limit_below_ten_is_reported(limit: int | None, warns: bool, text: str) -> None:
    warning, found = told(input_images_per_minute=limit)["picture limit"]
    assert warning is warns
    assert text in found


def test_models_that_take_fewer_than_ten_pictures_are_reported() -> None:
    few: dict[str, Any] = {"providers": ("runware",), "runware_models": ("flux-vto",)}
    warning, text = told(**few)["pictures of a job"]
    assert warning
    assert "more than 2" in text
    assert not told(**few | {"providers": ("runware", "openai")})["pictures of a job"][0]
