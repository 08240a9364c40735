"""The real pose network on the bundled sample, and the previews made with it."""

import hashlib
import io
import os
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import wearon_cli
from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose, load_landmarker
from wearon_cli.adapters.pose.model_file import LANDMARKS, aligned_zip, pull_model, require_model
from wearon_cli.adapters.pose.outline import without_outline
from wearon_cli.adapters.providers.preview import PreviewImages
from wearon_cli.core.body.pose import Landmark
from wearon_cli.core.errors import (
    ConfigError,
    GeneratorFault,
    PictureUnusable,
    RequestRejected,
    UpstreamError,
)
from wearon_cli.core.pictures.ports import PreparedPicture
from wearon_cli.core.preview.rasters import Rgb
from wearon_cli.core.providers import TryOnRequest
from wearon_cli.core.settings import Settings

pytestmark = pytest.mark.slow

ASSETS = Path(wearon_cli.__file__).parent / "assets"
#: Of the bundle built with mediapipe 1.2.2 and flatbuffers 25.12.19. Another flatbuffers version
#: may pack the same networks into other bytes: then check the pictures again, and update the hash.
BUNDLE_SHA256 = "792479f46b9bd7a3f1bbc7e8c4ace558cf705362c070b3d731c7d9a9757d6053"


def skip_or_fail(why: str) -> None:
    """A missing service skips on a laptop and fails in CI."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def model() -> Path:
    try:
        return require_model(Settings())
    except ConfigError as exc:
        skip_or_fail(f"{exc}: {exc.hint}")
        raise


@pytest.fixture(scope="module")
def reader(model: Path) -> Iterator[MediaPipePose]:
    with MediaPipePose(model) as reader:
        yield reader


def pixels(name: str) -> Rgb:
    with Image.open(ASSETS / name) as picture:
        return np.asarray(picture.convert("RGB"))


def prepared(name: str) -> PreparedPicture:
    with Image.open(ASSETS / name) as picture:
        width, height = picture.size
    data = (ASSETS / name).read_bytes()
    return PreparedPicture(jpeg=data, small=data, width_px=width, height_px=height)


def blank() -> PreparedPicture:
    out = io.BytesIO()
    Image.new("RGB", (300, 400), (120, 140, 160)).save(out, "JPEG")
    return PreparedPicture(jpeg=out.getvalue(), small=out.getvalue(), width_px=300, height_px=400)


def request(*pictures: PreparedPicture) -> TryOnRequest:
    return TryOnRequest(session_id="s1", pictures=pictures, prompt="")


# --------------------------------------------------------------------------- the model


def test_the_model_pulled_from_the_index_is_the_same_file_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    try:
        path = pull_model(Settings())
    except UpstreamError as exc:
        skip_or_fail(str(exc))
        raise
    assert hashlib.sha256(path.read_bytes()).hexdigest() == BUNDLE_SHA256
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_not_a_model_is_a_config_error(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.task"
    wrong.write_bytes(b"PK nothing of use")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        MediaPipePose(wrong)


# --------------------------------------------------------------------------- the reader


def test_one_person_is_found_with_limbs_where_they_are(reader: MediaPipePose) -> None:
    photo = pixels("person.jpg")
    (person,) = reader.read(photo)
    place = person.pixels()
    assert place[Landmark.LEFT_SHOULDER, 0] > place[Landmark.RIGHT_SHOULDER, 0]
    heights = [place[each, 1] for each in (Landmark.NOSE, Landmark.LEFT_SHOULDER)]
    heights += [place[each, 1] for each in (Landmark.LEFT_HIP, Landmark.LEFT_ANKLE)]
    assert heights == sorted(heights)
    assert person.mask.shape == photo.shape[:2]
    assert 0 <= person.mask.min() <= person.mask.max() <= 1
    for landmark in (Landmark.NOSE, Landmark.LEFT_HIP, Landmark.RIGHT_KNEE):
        x, y = place[landmark].astype(int)
        assert person.mask[y, x] > 0.9
    assert person.mask[:40].max() < 0.1
    # From the hips' middle to the nose: somewhat over half a metre in any adult.
    assert 0.4 < -person.world[Landmark.NOSE, 1] < 0.8
    assert not person.mask.flags.writeable


def test_two_people_are_two_readings_the_larger_one_first(reader: MediaPipePose) -> None:
    photo = pixels("person.jpg")
    small = np.asarray(Image.fromarray(photo).resize((photo.shape[1] * 3 // 4, 768)))
    both = np.full((photo.shape[0], photo.shape[1] + small.shape[1], 3), 128, np.uint8)
    both[:768, : small.shape[1]] = small
    both[:, small.shape[1] :] = photo
    readings = reader.read(both)
    assert len(readings) == 2
    assert readings[0].landmarks[Landmark.NOSE, 0] > 0.5 > readings[1].landmarks[Landmark.NOSE, 0]


@pytest.mark.parametrize(
    "photo",
    [
        pytest.param(np.full((200, 150, 3), 90, np.uint8), id="plain grey"),
        pytest.param(np.zeros((1, 1, 3), np.uint8), id="one pixel"),
    ],
)
def test_no_one_is_found_in_a_photo_without_people(reader: MediaPipePose, photo: Rgb) -> None:
    assert reader.read(photo) == ()


@pytest.mark.parametrize("shape", [(0, 10, 3), (10, 10), (10, 10, 4)])
def test_an_array_that_is_not_an_rgb_picture_is_refused(
    reader: MediaPipePose, shape: tuple[int, ...]
) -> None:
    with pytest.raises(PictureUnusable):
        reader.read(np.zeros(shape, np.uint8))


def test_threads_get_the_answers_that_one_caller_gets(reader: MediaPipePose) -> None:
    photo = pixels("person.jpg")
    mirrored = photo[:, ::-1]
    alone = [reader.read(each)[0].landmarks for each in (photo, mirrored)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(reader.read, [photo, mirrored] * 6))
    for index, readings in enumerate(together):
        assert (readings[0].landmarks == alone[index % 2]).all()


def test_without_its_outline_the_model_finds_the_same_landmarks(model: Path) -> None:
    """What the checks of pictures read; the mask alone takes a quarter of the time."""
    trimmed = without_outline(model)
    whole = model.read_bytes()
    assert whole != trimmed
    landmarks = []
    for each in (model, trimmed):
        landmarker = load_landmarker(each)
        from mediapipe import Image as MediaPipeImage
        from mediapipe import ImageFormat

        picture = MediaPipeImage(image_format=ImageFormat.SRGB, data=pixels("person.jpg"))
        (found,) = landmarker.detect(picture).pose_landmarks
        landmarker.close()
        landmarks.append([(p.x, p.y, p.z, p.visibility) for p in found])
    assert landmarks[0] == landmarks[1]


def test_without_an_outline_to_leave_out_a_network_stays_as_it_is(
    model: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(model) as bundle:
        detector = bundle.read("pose_detector.tflite")
    other = tmp_path / "other.task"
    other.write_bytes(aligned_zip({LANDMARKS: detector}))
    with zipfile.ZipFile(io.BytesIO(without_outline(other))) as bundle:
        assert bundle.read(LANDMARKS) == detector


@pytest.mark.parametrize("content", [None, b"PK nothing of use"], ids=["missing", "damaged"])
def test_a_model_whose_outline_cannot_be_left_out_is_a_config_error(
    tmp_path: Path, content: bytes | None
) -> None:
    wrong = tmp_path / "wrong.task"
    if content:
        wrong.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read"):
        without_outline(wrong)


def test_native_libraries_stay_off_the_terminal(
    model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photo = pixels("person.jpg")
    with MediaPipePose(model, quiet=False) as loud:
        loud.read(photo)
    assert "W0000" in capfd.readouterr().err  # otherwise there is nothing to silence
    with MediaPipePose(model) as quiet:
        quiet.read(photo)
        print("ours", file=sys.stderr)  # noqa: T201 - Python's own messages are not swallowed
    assert capfd.readouterr().err == "ours\n"


# --------------------------------------------------------------------------- previews


@pytest.mark.anyio
@pytest.mark.parametrize("garment", ["garment_tee.jpg", "garment_sweater.jpg"])
async def test_a_preview_of_the_sample_wears_the_garment(
    reader: MediaPipePose, garment: str
) -> None:
    before = pixels("person.jpg")
    answer = await PreviewImages(lambda: reader).submit(
        request(prepared("person.jpg"), prepared(garment)), model="preview", marker=None
    )
    with Image.open(io.BytesIO(answer.data)) as picture:
        assert picture.format == "JPEG"
        after = np.asarray(picture)
    assert after.shape == before.shape
    assert answer.usage.is_preview
    assert (answer.usage.model, answer.usage.cost_usd) == ("preview", 0.0)
    points = reader.read(before)[0].pixels()
    left, right = points[Landmark.RIGHT_SHOULDER, 0], points[Landmark.LEFT_SHOULDER, 0]
    top, hips = points[Landmark.LEFT_SHOULDER, 1], points[Landmark.LEFT_HIP, 1]
    cloth = pixels(garment)
    wanted = np.median(cloth[400:900, 300:700].reshape(-1, 3), axis=0)
    torso = after[int(top + 20) : int(hips - 10), int(left + 8) : int(right - 8)].reshape(-1, 3)
    assert np.abs(np.median(torso, axis=0) - wanted).max() < 45
    # Face, legs and backdrop differ by JPEG's own losses only; the mark is in its corner.
    change = np.abs(after.astype(int) - before).max(2)
    assert np.quantile(change[: int(points[Landmark.MOUTH_LEFT, 1])], 0.999) < 25
    assert np.quantile(change[int(points[Landmark.LEFT_KNEE, 1]) : 950], 0.999) < 25
    assert change[-80:, -200:].max() > 100


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        pytest.param([prepared("person.jpg")], "no garment", id="a person alone"),
        pytest.param([blank(), prepared("garment_tee.jpg")], "no person", id="nobody"),
        pytest.param(
            [PreparedPicture(jpeg=b"GIF89a", small=b"", width_px=1, height_px=1), blank()],
            "cannot be read",
            id="no picture at all",
        ),
    ],
)
async def test_pictures_that_make_no_preview_are_rejected_with_a_reason(
    reader: MediaPipePose, pictures: list[PreparedPicture], words: str
) -> None:
    with pytest.raises(RequestRejected, match=words):
        await PreviewImages(lambda: reader).submit(request(*pictures), model="preview", marker=None)


@pytest.mark.anyio
@pytest.mark.parametrize("garment", ["blank", "person"])
async def test_a_garment_that_cannot_be_dressed_is_shown_next_to_the_person(
    reader: MediaPipePose, garment: str
) -> None:
    shown = {"blank": blank(), "person": prepared("person.jpg")}[garment]
    answer = await PreviewImages(lambda: reader).submit(
        request(prepared("person.jpg"), shown), model="preview", marker=None
    )
    before = pixels("person.jpg")
    with Image.open(io.BytesIO(answer.data)) as picture:
        after = np.asarray(picture.convert("RGB"))
    assert answer.usage.is_preview
    if garment == "blank":
        assert after.shape[1] > 1.4 * before.shape[1]
    else:  # a top worn by a person is dressed, without her face
        assert after.shape == before.shape


@pytest.mark.anyio
async def test_a_missing_model_is_not_a_picture_problem(tmp_path: Path) -> None:
    missing = Settings(pose_model=tmp_path / "none.task")
    generator = PreviewImages(lambda: MediaPipePose(require_model(missing)))
    wanted = request(prepared("person.jpg"), prepared("garment_tee.jpg"))
    with pytest.raises(GeneratorFault, match="missing"):
        await generator.submit(wanted, model="preview", marker=None)
