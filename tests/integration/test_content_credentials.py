"""Pictures with real signatures: kept unchanged, and added where there is none."""

import io
import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import c2pa
import pytest
from typer.testing import CliRunner

from devkit import pictures as kit
from devkit.accounts import USER
from devkit.credentials import Certificate, certificate
from devkit.world import PICTURE, World
from wearon_cli import __version__
from wearon_cli.adapters.provenance.reading import read_credentials
from wearon_cli.adapters.provenance.signing import C2paSigner
from wearon_cli.app import app
from wearon_cli.core.errors import ConfigError, InputError
from wearon_cli.core.jobs.journal import Ending
from wearon_cli.core.pictures.marking import MarkedBy, Marking, SourceType
from wearon_cli.core.pictures.marks import XMP_START, Marks, read_marks
from wearon_cli.core.pictures.prepare import verify
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops.certificate_checks import check_certificate
from wearon_cli.wiring.provenance import open_marking

pytestmark = pytest.mark.anyio


@pytest.fixture
def marking(tmp_path: Path) -> Marking:
    return open_marking(settings_with(certificate(), tmp_path))


def settings_with(signing: Certificate, folder: Path) -> Settings:
    (folder / "chain.pem").write_bytes(signing.chain)
    (folder / "key.pem").write_bytes(signing.key)
    return Settings(c2pa_certificate=folder / "chain.pem", c2pa_key=folder / "key.pem")


def read(jpeg: bytes) -> tuple[str, dict[str, Any]]:
    """The state of its signature, and its manifests, as the library reads them."""
    reader = c2pa.Reader("image/jpeg", io.BytesIO(jpeg))
    return str(reader.get_validation_state()), json.loads(reader.json())


async def test_a_signed_answer_is_stored_byte_for_byte(marking: Marking) -> None:
    answer = certificate("Provider").sign(kit.encode(kit.corners(256, 384)))
    assert read(answer)[0] == "Valid"
    stored = await marking.mark(
        verify(answer).jpeg, answer=answer, source_type=SourceType.GENERATED
    )
    assert stored.jpeg == answer
    assert stored.marks == Marks(has_c2pa=True)
    assert stored.by is MarkedBy.PROVIDER


async def test_an_answer_without_a_mark_is_signed_with_itself_as_parent(marking: Marking) -> None:
    answer = kit.encode(kit.corners(256, 384))
    stored = await marking.mark(
        verify(answer).jpeg, answer=answer, source_type=SourceType.COMPOSITE
    )
    assert stored.marks == Marks(has_c2pa=True, source_type="compositeSynthetic")
    state, manifests = read(stored.jpeg)
    assert state == "Valid"
    active = manifests["manifests"][manifests["active_manifest"]]
    assert active["signature_info"]["issuer"] == "Test Shop"
    assert [each["relationship"] for each in active["ingredients"]] == ["parentOf"]
    (actions,) = [each["data"]["actions"] for each in active["assertions"]]
    assert [each["action"] for each in actions] == ["c2pa.opened", "c2pa.edited.metadata"]
    assert actions[0]["digitalSourceType"].endswith("/compositeSynthetic")
    assert kit.decode(stored.jpeg).tobytes() == kit.decode(answer).tobytes()


async def test_a_re_encoded_signed_answer_is_kept_as_the_parent(
    marking: Marking,
) -> None:
    png = kit.encode(kit.corners(256, 384), "PNG")
    answer = certificate("Provider").sign(png, kind="image/png")
    stored = await marking.mark(
        verify(answer).jpeg, answer=answer, source_type=SourceType.GENERATED
    )
    state, manifests = read(stored.jpeg)
    assert state == "Valid"
    active = manifests["manifests"][manifests["active_manifest"]]
    parent = manifests["manifests"][active["ingredients"][0]["active_manifest"]]
    assert parent["signature_info"]["issuer"] == "Provider"
    assert {"action": "c2pa.transcoded"} in active["assertions"][0]["data"]["actions"]
    assert stored.by is MarkedBy.WORKER


async def test_without_a_certificate_a_re_encoded_answer_has_its_source_type() -> None:
    answer = certificate("Provider").sign(
        kit.encode(kit.corners(256, 384), "PNG"), kind="image/png"
    )
    stored = await Marking().mark(
        verify(answer).jpeg, answer=answer, source_type=SourceType.GENERATED
    )
    assert stored.marks == Marks(source_type="trainedAlgorithmicMedia")


@pytest.mark.parametrize(
    ("answer", "marks", "by"),
    [
        pytest.param(certificate("Provider").sign(PICTURE), "C2PA", "provider", id="signed"),
        pytest.param(PICTURE, "XMP trainedAlgorithmicMedia", "worker", id="without a mark"),
        pytest.param(
            kit.encode(kit.corners(96, 128), "PNG"),
            "XMP trainedAlgorithmicMedia",
            "worker",
            id="re-encoded",
        ),
    ],
)
async def test_a_job_stores_its_picture_marked_and_its_timeline_says_how(
    world: World, answer: bytes, marks: str, by: str
) -> None:
    world.generator.plan = [answer]
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]
    stored = await world.storage.get((await world.row(key)).result_path)
    assert str(read_marks(stored)) == marks
    assert (stored == answer) is (by == "provider")
    (line,) = [
        each
        for each in await world.journal.timeline(key.session_id)
        if each["event"] == "picture_stored"
    ]
    assert (line["marks"], line["marked_by"]) == (marks, by)


def provenance(*words: object) -> Any:
    shown = CliRunner().invoke(app, ["provenance", *map(str, words), "--json"])
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)["data"]


async def test_a_signature_is_read_back(marking: Marking, tmp_path: Path) -> None:
    answer = certificate("Provider").sign(
        kit.encode(kit.corners(256, 384), "PNG"), kind="image/png"
    )
    stored = await marking.mark(
        verify(answer).jpeg, answer=answer, source_type=SourceType.GENERATED
    )
    file = tmp_path / "stored.jpg"
    file.write_bytes(stored.jpeg)
    data = provenance(file)
    assert (data["has_c2pa"], data["is_checked"]) == (True, True)
    assert data["source_type"] == "trainedAlgorithmicMedia"
    assert data["credentials"] == {
        "state": "valid",
        "signed_by": "Test Shop",
        "made_with": f"wearon {__version__}",
        "actions": ["c2pa.opened", "c2pa.transcoded"],
        "source_type": "trainedAlgorithmicMedia",
        "parents_signed_by": ["Provider"],
        "faults": [],
    }


def test_a_signature_is_broken_by_one_changed_byte(tmp_path: Path) -> None:
    signed = bytearray(certificate("Provider").sign(kit.encode(kit.corners(256, 384))))
    signed[-200] ^= 1
    file = tmp_path / "changed.jpg"
    file.write_bytes(signed)
    credentials = provenance(file)["credentials"]
    assert credentials["state"] == "invalid"
    assert credentials["faults"] == ["assertion.dataHash.mismatch"]
    shown = CliRunner().invoke(app, ["provenance", str(file)])
    assert "A BROKEN SIGNATURE of Provider" in shown.output


def test_addresses_in_a_picture_are_not_contacted() -> None:
    """The library would fetch its manifest from there; a connection to the loopback port would be
    detected.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/manifest.c2pa"
        assert read_credentials(with_remote_manifest(address)) is None
        with pytest.raises(TimeoutError):
            server.accept()


def with_remote_manifest(address: str) -> bytes:
    """A picture whose XMP refers to a manifest at another address (C2PA 2.2, section 11.5)."""
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{address}"/>'
        "</rdf:RDF></x:xmpmeta>"
    )
    body = XMP_START + packet.encode()
    plain = kit.encode(kit.corners())
    return plain[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + plain[2:]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("gone.jpg", None, "neither a file nor a session id", id="no such file"),
        pytest.param("text.jpg", b"no picture", "is not a JPEG", id="not a picture"),
    ],
)
def test_unreadable_credentials_are_reported(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    shown = CliRunner().invoke(app, ["provenance", str(tmp_path / name)])
    assert shown.exit_code == InputError.exit_code
    assert words in shown.output


def test_a_certificate_that_cannot_sign_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot sign"):
        open_marking(settings_with(certificate("Late Shop", days=-1), tmp_path))


def test_a_certificate_and_its_key_go_together(tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_bytes(certificate().chain)
    with pytest.raises(ConfigError, match="needs its key"):
        open_marking(Settings(c2pa_certificate=tmp_path / "chain.pem"))


@pytest.mark.parametrize("key", [b"", b"-----BEGIN PRIVATE KEY-----\n", b"no key"])
def test_an_invalid_key_is_reported(key: bytes) -> None:
    with pytest.raises(ConfigError, match="not a readable private key") as caught:
        C2paSigner(certificate=certificate().chain, key=key)
    assert caught.value.hint


# ------------------------------------------------------------------ what the doctor says of it


@pytest.mark.parametrize(
    ("days", "ok", "warning", "words"),
    [
        pytest.param(90, True, False, "in 90 days", id="valid"),
        pytest.param(31, True, False, "in 31 days", id="for a month"),
        pytest.param(30, True, True, "in 30 days", id="not for long"),
        pytest.param(-1, False, False, "expired on", id="expired"),
    ],
)
async def test_the_doctor_tells_when_the_certificate_expires(
    tmp_path: Path, days: int, ok: bool, warning: bool, words: str
) -> None:
    settings = settings_with(certificate(days=days), tmp_path)
    (found,) = await check_certificate(settings, today=datetime.now(UTC).date())
    assert (found.ok, found.warning) == (ok, warning)
    assert words in found.detail
    assert bool(found.hint) is (warning or not ok)


@pytest.mark.parametrize("file", ["chain.pem", "key.pem"])
@pytest.mark.parametrize("content", [None, b"no certificate"], ids=["gone", "garbage"])
async def test_the_doctor_tells_of_a_certificate_that_cannot_be_read(
    tmp_path: Path, file: str, content: bytes | None
) -> None:
    settings = settings_with(certificate(), tmp_path)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ConfigError) as told:
        await check_certificate(settings, today=datetime.now(UTC).date())
    assert told.value.hint
    assert str(tmp_path) not in f"{told.value} {told.value.hint}"


async def test_the_doctor_says_nothing_where_no_certificate_is_set() -> None:
    assert await check_certificate(Settings(), today=datetime.now(UTC).date()) == ()


async def test_a_key_without_its_certificate_is_told_of(tmp_path: Path) -> None:
    settings = settings_with(certificate(), tmp_path).model_copy(update={"c2pa_certificate": None})
    with pytest.raises(ConfigError, match="needs its key"):
        await check_certificate(settings, today=datetime.now(UTC).date())
