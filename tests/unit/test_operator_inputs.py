"""Input pictures are found, even after the platform's clean-up."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wearon_cli.adapters.local.storage import LocalStorage
from wearon_cli.core.operator.inputs import EXPIRED, InputPicture, InputReader
from wearon_cli.core.session import Channel, Session, Status

OWNER = "7d4f5f3a-2f1c-4d5e-8a35-7d52a3f1e0b2"
ORIGIN = "https://project.supabase.test"
STORED = f"{ORIGIN}/storage/v1/object/sign/virtual-tryon-images"
PERSON, GARMENT, HAT = (f"uploads/{OWNER}/{name}.jpg" for name in ("person", "garm ent", "hat"))
FOREIGN = "https://elsewhere.test/hat.png"

pytestmark = pytest.mark.anyio


def signed(path: str) -> str:
    return f"{STORED}/{path.replace(' ', '%20')}?token=expired"


ROW = Session(
    session_id="0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01",
    channel=Channel.B2C,
    owner_id=OWNER,
    status=Status.FAILED,
    created_at=datetime(2026, 2, 9, 14, 30, tzinfo=UTC),
    model_image_url=signed(PERSON),
    outfit_image_url=signed(GARMENT),
)
CLEANED = replace(ROW, model_image_url=EXPIRED, outfit_image_url=EXPIRED)
WITH_HAT = replace(ROW, accessories=({"type": "hat", "url": signed(HAT)},))
STORE = replace(ROW, channel=Channel.B2B)


@pytest.fixture
async def reader(tmp_path: Path) -> InputReader:
    storage = LocalStorage(tmp_path, base_url="http://127.0.0.1:1", secret_path=tmp_path / "secret")
    for path in (PERSON, GARMENT, HAT):
        await storage.put(path, b"\xff\xd8\xff", content_type="image/jpeg")
    return InputReader(storage=storage, bucket="virtual-tryon-images", origin=ORIGIN)


def told(pictures: tuple[InputPicture, ...]) -> list[str]:
    return [f"{each.kind.value} {each.state.value}" for each in pictures]


@pytest.mark.parametrize(
    ("row", "kept", "expected"),
    [
        pytest.param(ROW, (), ["person stored", "garment stored"], id="as the row says"),
        pytest.param(
            replace(ROW, outfit_image_url=None), (), ["person stored"], id="a person alone"
        ),
        pytest.param(
            replace(WITH_HAT, outfit_image_url=None),
            (),
            ["person stored", "accessory stored"],
            id="an accessory without a garment",
        ),
        pytest.param(
            replace(ROW, outfit_image_url=FOREIGN),
            (),
            ["person stored", "garment elsewhere"],
            id="somebody else's",
        ),
        pytest.param(
            CLEANED, (PERSON, GARMENT), ["person stored", "garment stored"], id="cleaned up"
        ),
        pytest.param(CLEANED, (), ["person gone", "garment gone"], id="cleaned up, unrecorded"),
        pytest.param(
            CLEANED, (PERSON,), ["person gone", "garment gone"], id="cleaned up, half recorded"
        ),
        pytest.param(
            replace(WITH_HAT, model_image_url=EXPIRED, outfit_image_url=EXPIRED),
            (PERSON, GARMENT, HAT),
            ["person stored", "garment stored", "accessory stored"],
            id="cleaned up but for the accessory",
        ),
        pytest.param(
            replace(CLEANED, accessories=({"type": "hat", "url": FOREIGN},)),
            (PERSON, GARMENT),
            ["person stored", "garment stored", "accessory elsewhere"],
            id="cleaned up, with somebody else's accessory",
        ),
        pytest.param(
            STORE,
            (PERSON, GARMENT, HAT),
            ["person stored", "garment stored", "accessory stored"],
            id="a store's row, whose accessories only the record knows",
        ),
        pytest.param(
            STORE, (HAT, GARMENT), ["person stored", "garment stored"], id="a record of other ones"
        ),
        pytest.param(
            replace(ROW, model_image_url=signed("uploads/gone.jpg")),
            (),
            ["person gone", "garment stored"],
            id="deleted",
        ),
        pytest.param(
            replace(ROW, model_image_url=signed("../../etc/passwd")),
            (),
            ["person gone", "garment stored"],
            id="no name of an object",
        ),
    ],
)
async def test_each_pictures_place_is_reported(
    reader: InputReader, row: Session, kept: tuple[str, ...], expected: list[str]
) -> None:
    assert told(await reader.read(row, kept_paths=kept)) == expected


async def test_a_payload_has_pictures_that_the_row_lacks(reader: InputReader) -> None:
    urls = tuple(map(signed, (PERSON, GARMENT, HAT)))
    pictures = await reader.read(STORE, payload_urls=urls)
    assert told(pictures) == ["person stored", "garment stored", "accessory stored"]


async def test_our_addresses_are_signed_again_and_others_are_kept(reader: InputReader) -> None:
    pictures = await reader.read(replace(ROW, outfit_image_url=FOREIGN))
    assert pictures[0].url is not None
    assert pictures[0].url.startswith("http://127.0.0.1:1/")
    assert "expired" not in pictures[0].url
    assert pictures[1].url == FOREIGN


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(STORED.replace("project", "other") + "/a.jpg", id="another project"),
        pytest.param(f"{STORED.replace('virtual-tryon-images', 'other')}/a.jpg", id="bucket"),
    ],
)
async def test_only_addresses_in_our_bucket_are_ours(reader: InputReader, url: str) -> None:
    (person, _) = await reader.read(replace(ROW, model_image_url=url))
    assert person.state == "elsewhere"
