"""Shared by all tests: hides this machine's settings, and selects asyncio as the event loop."""

import os

import pytest
from hypothesis import HealthCheck, settings

from wearon_cli.core.settings import PRODUCTION_NAMES

#: Settings without the prefix, in addition to those that production requires.
OTHER_NAMES = (
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_IMAGE_MODELS",
    "OPENAI_MAX_RETRIES",
    "RUNWARE_API_KEY",
    "RUNWARE_BASE_URL",
    "WORKER_CONCURRENCY",
)
#: These change what a command prints, or the route of a loopback request.
SURROUNDINGS = (
    "NO_COLOR",
    "FORCE_COLOR",
    "PY_COLORS",
    "GITHUB_ACTIONS",
    "COLUMNS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
)

#: The folders of tests.
SLOWEST_FIRST = ("acceptance", "integration", "contract", "unit")
#: The unit tests that compute longest: 35 s and 10 s of the 75 s of them all.
LONG_UNIT_TESTS = ("test_preview.py", "test_pictures.py")

# A busy machine draws and runs its examples slowly.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow folders and files first, so that the files started last are short."""
    items.sort(
        key=lambda item: (
            SLOWEST_FIRST.index(item.path.parent.name),
            item.path.name not in LONG_UNIT_TESTS,
        )
    )


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the product does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide this machine's settings and `.env` from every test."""
    for name in (*PRODUCTION_NAMES, *OTHER_NAMES, *SURROUNDINGS):
        monkeypatch.delenv(name, raising=False)
    for name in list(os.environ):
        if name.startswith("WEARON_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WEARON_ENV_FILE", os.devnull)
