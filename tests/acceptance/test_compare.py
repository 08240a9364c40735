"""`wearon compare` and `wearon doctor --paid` as programs, over loopback providers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wearon_cli
from devkit import pictures as kit
from devkit.credentials import certificate
from devkit.servers.image_api import KEY
from devkit.servers.image_api_process import (
    ImageApiProcess,
    ResponsesApiProcess,
    RunwareApiProcess,
)
from devkit.servers.runware_api import KEY as RUNWARE_KEY
from devkit.waiting import LONGEST_S
from wearon_cli.adapters.provenance.reading import read_credentials
from wearon_cli.core.pictures.credentials import SignatureState
from wearon_cli.core.pictures.marking import SourceType
from wearon_cli.core.pictures.marks import read_marks

pytestmark = pytest.mark.slow

ASSETS = Path(wearon_cli.__file__).parent / "assets"
PAIR = (str(ASSETS / "person.jpg"), str(ASSETS / "garment_tee.jpg"))
BOTH = "openai:gpt-image-2.6-flare,runware:p-image"


@pytest.fixture(scope="module")
def runware() -> Iterator[RunwareApiProcess]:
    with RunwareApiProcess() as server:
        yield server


@pytest.fixture(scope="module")
def openai() -> Iterator[ImageApiProcess]:
    with ImageApiProcess() as server:
        yield server


@pytest.fixture
def keys(openai: ImageApiProcess, runware: RunwareApiProcess) -> dict[str, str]:
    for server in (openai, runware):
        server.reset()
    return {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": openai.base_url,
        "RUNWARE_API_KEY": RUNWARE_KEY,
        "RUNWARE_BASE_URL": runware.base_url,
        "WEARON_FETCH_ORIGINS": runware.origin,
    }


def wearon(
    folder: Path, environment: dict[str, str], *words: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wearon_cli", *words],
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(done.stdout)
    assert envelope["ok"] is (done.returncode == 0)
    return envelope


def compare(
    folder: Path, environment: dict[str, str], *words: str, code: int = 0
) -> dict[str, Any]:
    done = wearon(folder, environment, "compare", *PAIR, "--json", *words)
    assert done.returncode == code, done.stdout + done.stderr
    return answer(done)


def test_the_same_pair_is_drawn_by_several_models(
    keys: dict[str, str], openai: ImageApiProcess, runware: RunwareApiProcess, tmp_path: Path
) -> None:
    models = f"{BOTH},preview,gpt-image-0"
    data = compare(tmp_path, keys, "--with", models, "--out", "out", "--yes")["data"]
    results = {each["name"]: each for each in data["results"]}
    assert list(results) == [*BOTH.split(","), "preview", "openai:gpt-image-0"]
    for name in (*BOTH.split(","), "preview"):
        picture = kit.decode((tmp_path / results[name]["picture"]).read_bytes())
        assert picture.format == "JPEG"
        assert results[name]["error"] is None
        assert results[name]["took_s"] >= 0
    assert results["openai:gpt-image-2.6-flare"]["has_c2pa"]
    assert results["runware:p-image"]["cost_usd"] == pytest.approx(0.015)
    assert results["preview"]["is_preview"]
    failed = results["openai:gpt-image-0"]
    assert (failed["picture"], failed["error"]["code"]) == (None, "model_unavailable")
    assert data["total_usd"] == pytest.approx(sum(r["cost_usd"] or 0 for r in results.values()))
    sheet = kit.decode((tmp_path / data["sheet"]).read_bytes())
    assert sheet.size == (1352, 1584), "six cards: two rows of three"
    files = {name: each["picture"] for name, each in results.items() if each["picture"]}
    assert {name: saved_marks(tmp_path / file) for name, file in files.items()} == {
        "openai:gpt-image-2.6-flare": "C2PA",
        "runware:p-image": "XMP trainedAlgorithmicMedia",
        "preview": "XMP compositeSynthetic",
    }
    assert saved_marks(tmp_path / data["sheet"]) == "XMP compositeWithTrainedAlgorithmicMedia"
    assert results["runware:p-image"]["marked_by"] == "worker"
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == data
    assert openai.book()["billed"] == runware.book()["billed"] == 1


def test_pictures_are_signed_where_a_certificate_is_set(
    keys: dict[str, str], tmp_path: Path
) -> None:
    signing = certificate()
    for name, pem in (("CERTIFICATE", signing.chain), ("KEY", signing.key)):
        (tmp_path / name).write_bytes(pem)
        keys[f"WEARON_C2PA_{name}"] = str(tmp_path / name)
    data = compare(tmp_path, keys, "--with", "runware:p-image", "--out", "out", "--yes")["data"]
    (result,) = data["results"]
    for file, kind in ((result["picture"], "generated"), (data["sheet"], "collage")):
        signed = read_credentials((tmp_path / file).read_bytes())
        assert signed is not None
        assert (signed.state, signed.signed_by) == (SignatureState.VALID, "Test Shop")
        assert signed.source_type == SourceType[kind.upper()]


def saved_marks(file: Path) -> str:
    return str(read_marks(file.read_bytes()))


def test_nothing_is_bought_without_a_yes_to_the_price(
    keys: dict[str, str], openai: ImageApiProcess, runware: RunwareApiProcess, tmp_path: Path
) -> None:
    error = compare(tmp_path, keys, "--with", BOTH, "--out", "out", code=4)["error"]
    assert error["code"] == "consent_missing"
    assert (
        "send the photos to openai and runware and buy 2 pictures for about $0.05"
        in (error["message"])
    )
    assert openai.book()["calls"] == runware.book()["calls"] == 0
    assert not (tmp_path / "out").exists()


def test_offline_it_compares_with_the_preview(tmp_path: Path) -> None:
    data = compare(tmp_path, {}, "--local")["data"]
    assert [each["name"] for each in data["results"]] == ["preview"]
    assert data["total_usd"] == 0
    assert (tmp_path / data["sheet"]).is_file()


def test_when_no_model_draws_it_says_so(keys: dict[str, str], tmp_path: Path) -> None:
    told = compare(tmp_path, keys, "--with", "gpt-image-0", "--out", "o", "--yes", code=7)
    assert told["error"]["code"] == "try_on_failed"
    assert (tmp_path / told["data"]["sheet"]).is_file()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--with", "fashn:tryon"), 4, "is not an image model"),
        (("--with", "runware:p-imag"), 4, "there is no Runware model 'p-imag'"),
        (("--with", ","), 4, "0 models to compare"),
        (("--with", "preview", "--out", "full"), 4, "full is not empty"),
        (("--with", "preview", "--out", "full/file"), 4, "is a file"),
        (("--with", "runware:p-image"), 3, "RUNWARE_API_KEY is not set"),
    ],
)
def test_an_impossible_comparison_is_reported_before_anything_is_bought(
    words: tuple[str, ...], code: int, told: str, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    error = compare(tmp_path, {}, *words, "--yes", code=code)["error"]
    assert told in error["message"]


# ------------------------------------------------------------------------ doctor --paid


def doctor(folder: Path, environment: dict[str, str], *words: str) -> dict[str, Any]:
    return answer(wearon(folder, environment, "doctor", "--paid", "--json", *words))


def test_a_paid_probe_reports_its_results(
    keys: dict[str, str], runware: RunwareApiProcess, tmp_path: Path
) -> None:
    with ResponsesApiProcess() as responses:
        told = doctor(
            tmp_path,
            keys
            | {
                "OPENAI_BASE_URL": responses.base_url,
                "OPENAI_IMAGE_MODELS": "gpt-image-2.6-flare",
                "WEARON_OPENAI_API": "responses",
                "WEARON_PROVIDERS": "openai,runware",
            },
            "--yes",
        )["data"]
        assert responses.book()["billed"] == runware.book()["billed"] == 1
    probes = {(each["name"], each["api"]): each for each in told["probes"]}
    drawn = probes["openai:gpt-image-2.6-flare", "responses"]
    assert drawn["found_while_generated"] is drawn["found_after"] is drawn["fetched_again"] is True
    assert (drawn["has_c2pa"], drawn["keeps_marks"], drawn["error_code"]) == (True, True, None)
    other_way = probes["openai:gpt-image-2.6-flare", "images"]
    assert (other_way["is_configured"], other_way["error_code"]) == (False, "account_blocked")
    cheap = probes["runware:p-image", None]
    assert (cheap["cost_usd"], cheap["has_c2pa"]) == (pytest.approx(0.015), False)
    bought = {f["name"]: f for f in told["findings"] if f["name"].startswith("bought ")}
    assert all(finding["ok"] for finding in bought.values())
    assert bought["bought openai:gpt-image-2.6-flare (images)"]["warning"]


def test_a_probe_asks_with_its_price_first(
    keys: dict[str, str], openai: ImageApiProcess, tmp_path: Path
) -> None:
    error = doctor(tmp_path, keys | {"OPENAI_IMAGE_MODELS": "gpt-image-2"})["error"]
    assert error["code"] == "consent_missing"
    assert error["message"].startswith("buy 2 small pictures for about $0.0")
    assert openai.book()["calls"] == 0


def test_without_a_key_there_is_nothing_to_buy(tmp_path: Path) -> None:
    assert doctor(tmp_path, {}, "--yes")["error"]["code"] == "config_error"
