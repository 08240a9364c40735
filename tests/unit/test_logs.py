"""The log contains no secrets."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops.logs import configure_logs, scrub

SECRETS = [
    pytest.param(
        "GET https://a.supabase.co/storage/v1/object/sign/b/x.jpg?token=eyJhbG.eyJ1cmw.c2ln",
        "eyJhbG",
        id="signed address",
    ),
    pytest.param("key sk-proj-abcdef123456 refused", "abcdef123456", id="image API key"),
    pytest.param("apikey sb_secret_0123456789", "0123456789", id="new Supabase key"),
    pytest.param("eyJhbGciOi.eyJyb2xlIjoi.c2lnbmF0dXJl", "c2lnbmF0dXJl", id="JSON web token"),
    pytest.param("redis://user:hunter2@host:6379/0", "hunter2", id="password in an address"),
    pytest.param("Authorization: Bearer abc.def", "abc.def", id="bearer token"),
    pytest.param("refund (shopper=jane.doe@shop.example)", "jane.doe", id="e-mail"),
]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secrets_are_removed(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "job_taken 0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d02",
        "https://a.supabase.co/storage/v1/object/x.jpg",
        "attempt 3 of 3 took 1.5 s",
    ],
)
def test_the_data_that_support_needs_is_kept(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_no_secret_is_logged_by_any_path(
    capsys: pytest.CaptureFixture[str], text: str, secret: str
) -> None:
    configure_logs(Settings(log_format="json"), "celery")
    structlog.get_logger("ours").info("event", detail=text, nested={"deep": [text]})
    logging.getLogger("theirs").warning("%s", text)
    try:
        raise RuntimeError(text)
    except RuntimeError:
        logging.getLogger("theirs").exception("failed")
        structlog.get_logger("ours").exception("failed")
    output = capsys.readouterr().err
    lines = output.splitlines()
    assert len(lines) == 4
    assert secret not in output
    assert all(json.loads(line)["role"] == "celery" for line in lines)


def test_a_line_of_a_job_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(log_format="json"), "celery")
    with structlog.contextvars.bound_contextvars(session_id="s1", request_id="r1", channel="b2c"):
        structlog.get_logger("ours").info("job_started")
        logging.getLogger("theirs").warning("slow")
    for line in capsys.readouterr().err.splitlines():
        event = json.loads(line)
        assert (event["session_id"], event["request_id"], event["channel"]) == ("s1", "r1", "b2c")
        assert event["timestamp"].endswith("Z")


def test_the_level_is_applied(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(log_format="json", log_level="warning"), "celery")
    structlog.get_logger("ours").info("not this")
    logging.getLogger("theirs").info("nor this")
    structlog.get_logger("ours").warning("this")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["this"]
