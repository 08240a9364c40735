"""Settings that must be consistent with each other."""

from pathlib import Path

import pytest

from wearon_cli.adapters.redis.keys import HELD_PICTURE_LIFE_S, REFUND_LOCK_LIFE_S
from wearon_cli.core.cross_checks import HAND_BACK_S
from wearon_cli.core.errors import ConfigError
from wearon_cli.core.settings import Settings, load_settings


def test_a_drain_that_does_not_fit_in_the_containers_grace_is_refused() -> None:
    load_settings(drain_s=120 - HAND_BACK_S, stop_grace_s=120)
    with pytest.raises(ConfigError, match=r"WEARON_DRAIN_S \(106\).*WEARON_STOP_GRACE_S \(120\)"):
        load_settings(drain_s=106, stop_grace_s=120)


def test_a_paid_call_longer_than_the_drain_is_detected() -> None:
    assert not Settings().drain_holds_a_call
    assert Settings(drain_s=150, stop_grace_s=165).drain_holds_a_call


def test_a_wait_longer_than_pictures_are_held_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"WEARON_MAX_WAIT_S \(3601\)"):
        load_settings(max_wait_s=3601)
    assert load_settings(max_wait_s=3600).max_wait_s == HELD_PICTURE_LIFE_S


def test_a_refund_longer_than_its_lock_is_refused() -> None:
    """Seen: with calls of 30 s the lock of 60 s expired while a refund was in flight."""
    patient = {"b2c_buy_within_s": 200.0, "attempt_budget_s": 500.0}
    with pytest.raises(ConfigError, match="given twice"):
        load_settings(supabase_timeout_s=30.0, **patient)
    longest_s = REFUND_LOCK_LIFE_S / 4
    assert load_settings(supabase_timeout_s=longest_s, **patient).supabase_timeout_s == longest_s


def test_purchases_stop_in_time_for_the_platforms_cron() -> None:
    """Seen: with 420 s a provider with a slow upload could end after the cron's 600 s."""
    with pytest.raises(ConfigError, match=r"WEARON_B2C_BUY_WITHIN_S \(420\)"):
        load_settings(b2c_buy_within_s=420.0)
    assert load_settings().b2c_buy_within_s == 350.0


def test_an_env_file_that_is_not_text_is_refused_without_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: a traceback, for a key with an umlaut that was saved in Latin-1."""
    file = tmp_path / ".env"
    file.write_bytes("OPENAI_API_KEY=schlüssel".encode("latin-1"))
    monkeypatch.setenv("WEARON_ENV_FILE", str(file))
    with pytest.raises(ConfigError, match="cannot be read") as told:
        load_settings()
    assert "schl" not in f"{told.value} {told.value.hint}"


def test_the_file_that_is_named_is_read_instead_of_dotenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("WEARON_PORT=1001\n", "utf-8")
    (tmp_path / "other").write_text("WEARON_PORT=1002\n", "utf-8")
    monkeypatch.setenv("WEARON_ENV_FILE", "other")
    assert load_settings().port == 1002
    monkeypatch.delenv("WEARON_ENV_FILE")
    assert load_settings().port == 1001


def test_a_named_file_that_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEARON_ENV_FILE", "nowhere/settings")
    with pytest.raises(ConfigError, match="WEARON_ENV_FILE names cannot be read"):
        load_settings()
