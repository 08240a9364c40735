"""The bucket: the same behaviour in every session store."""

from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from devkit.stores import StoreUnderTest
from wearon_cli.core.errors import ObjectNotFound, StoreRefused

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

JPEG = b"\xff\xd8\xff" + bytes(range(256)) * 40


def path() -> str:
    return f"generated/{uuid4()}/{uuid4()}.jpg"


async def test_an_object_reads_back_as_stored(store: StoreUnderTest) -> None:
    where = path()
    await store.storage.put(where, JPEG, content_type="image/jpeg")
    assert await store.storage.get(where) == JPEG


async def test_the_same_path_again_replaces_it(store: StoreUnderTest) -> None:
    where = path()
    for data in (JPEG, JPEG + b"2"):
        await store.storage.put(where, data, content_type="image/jpeg")
    assert await store.storage.get(where) == JPEG + b"2"


async def test_an_address_is_absolute_and_carries_a_token(store: StoreUnderTest) -> None:
    where = path()
    await store.storage.put(where, JPEG, content_type="image/jpeg")
    url = urlsplit(await store.storage.sign(where, life_s=60))
    assert url.scheme in {"http", "https"}
    assert url.path.endswith(f"/object/sign/virtual-tryon-images/{where}")
    assert parse_qs(url.query)["token"]


async def test_a_missing_object_is_reported(store: StoreUnderTest) -> None:
    with pytest.raises(ObjectNotFound):
        await store.storage.sign(path(), life_s=60)
    with pytest.raises(ObjectNotFound):
        await store.storage.get(path())


async def test_other_content_types_are_refused(store: StoreUnderTest) -> None:
    with pytest.raises(StoreRefused) as refusal:
        await store.storage.put(path(), b"<html>", content_type="text/html")
    assert refusal.value.vendor_code == "415"


async def test_a_file_that_is_too_large_is_refused(store: StoreUnderTest) -> None:
    with pytest.raises(StoreRefused) as refusal:
        await store.storage.put(path(), bytes(10 * 2**20 + 1), content_type="image/jpeg")
    assert refusal.value.vendor_code == "413"


@pytest.mark.parametrize(
    "wrong", ["", "/a.jpg", "a//b.jpg", "../a.jpg", "a/../../b.jpg", "a/./b.jpg", "a\\b.jpg", "ä"]
)
async def test_a_path_never_leaves_the_bucket(store: StoreUnderTest, wrong: str) -> None:
    with pytest.raises(StoreRefused):
        await store.storage.put(wrong, JPEG, content_type="image/jpeg")
    with pytest.raises(StoreRefused):
        await store.storage.get(wrong)


async def test_a_removed_object_is_gone_and_removing_it_again_is_not_an_error(
    store: StoreUnderTest,
) -> None:
    where = path()
    await store.storage.put(where, JPEG, content_type="image/jpeg")
    for _ in range(2):
        await store.storage.remove(where)
    with pytest.raises(ObjectNotFound):
        await store.storage.get(where)
