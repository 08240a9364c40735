"""Wrong filters are reported."""

import pytest
from typer.testing import CliRunner

from wearon_cli.app import app
from wearon_cli.core.errors import InputError
from wearon_cli.core.operator.filters import checked_error_class, job_error_codes, near_owners
from wearon_cli.core.session import Channel, Session, Status, utc_now

STORE = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01"
OTHER = "77777777-7b1e-7c4a-9f00-3f2c6f0a9d02"


def row(owner_id: str) -> Session:
    return Session(
        session_id="s",
        channel=Channel.B2B,
        owner_id=owner_id,
        status=Status.FAILED,
        created_at=utc_now(),
    )


def test_a_class_of_error_is_found_however_it_is_typed() -> None:
    assert checked_error_class("Rate-Limited ") == "rate_limited"
    assert checked_error_class(None) is None
    assert checked_error_class("unknown") == "unknown"


def test_an_error_of_commands_is_not_a_filter() -> None:
    assert {"consent_missing", "interrupted", "config_error"}.isdisjoint(job_error_codes())


def test_a_similar_class_is_suggested() -> None:
    with pytest.raises(InputError, match="'rate_limit'") as caught:
        checked_error_class("rate_limit")
    assert caught.value.hint.startswith("did you mean rate_limited?")


@pytest.mark.parametrize("command", [["sessions"], ["replay-task", "--failed"]])
def test_an_unknown_class_is_answered_with_all_classes(command: list[str]) -> None:
    said = CliRunner().invoke(app, [*command, "--error", "nonsense", "--local"])
    assert said.exit_code == InputError.exit_code
    assert "there is no error class 'nonsense'" in said.stderr
    assert all(code in said.stderr for code in ("picture_unusable", "account_blocked", "unknown"))


@pytest.mark.parametrize(
    ("wanted", "near"),
    [
        pytest.param(STORE, [], id="it is there"),
        pytest.param("0193a1c0", [STORE], id="its beginning"),
        pytest.param(STORE.replace("9f00", "9e00"), [STORE], id="a digit is wrong"),
        pytest.param("nobody", [OTHER, STORE], id="nothing like it: the busiest"),
    ],
)
def test_similar_stores_are_suggested(wanted: str, near: list[str]) -> None:
    assert near_owners(wanted, [row(OTHER), row(STORE), row(OTHER)]) == near


def test_without_sessions_no_store_is_suggested() -> None:
    assert near_owners("nobody", []) == []
