"""Old pictures of a local stack are removed."""

import os
import time
from pathlib import Path

from devkit.waiting import until
from wearon_cli.adapters.local.expiry import old_pictures_removed, remove_old

DAY_S = 86_400.0


def picture(folder: Path, name: str, *, age_s: float) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"picture")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_only_older_pictures_are_removed_in_every_folder(tmp_path: Path) -> None:
    old = picture(tmp_path, "uploads/a/person.jpg", age_s=31 * DAY_S)
    older = picture(tmp_path, "generated/u/x.jpg", age_s=99 * DAY_S)
    young = picture(tmp_path, "generated/u/y.jpg", age_s=29 * DAY_S)
    assert remove_old(tmp_path, before_s=time.time() - 30 * DAY_S) == 2
    assert (old.exists(), older.exists(), young.exists()) == (False, False, True)


def test_a_missing_folder_is_not_an_error(tmp_path: Path) -> None:
    with old_pictures_removed(tmp_path / "files", keep_s=DAY_S):
        pass


def test_a_stack_removes_them_when_it_starts(tmp_path: Path) -> None:
    old = picture(tmp_path, "x.jpg", age_s=2 * DAY_S)
    with old_pictures_removed(tmp_path, keep_s=DAY_S):
        until(lambda: not old.exists())
