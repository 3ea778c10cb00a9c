"""Both kinds of store do the same."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import boto3
import pytest
from moto import mock_aws

from apps.jobs import storage
from contract.errors import ErrorCode, StereoSpotError

JOB = UUID("12345678-1234-4234-8234-123456789abc")
KEY = f"input/{JOB}/source.mp4"


@pytest.fixture(params=["disk", "bucket"])
def store(request, tmp_path, monkeypatch) -> Iterator[storage.Disk | storage.Bucket]:
    if request.param == "disk":
        yield storage.Disk(tmp_path / "store")
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="films")
        yield storage.Bucket(bucket_name="films", region_name="us-east-1")


@pytest.fixture
def film(tmp_path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    return path


def test_what_is_put_can_be_read_as_a_file(store, film):
    store.put(KEY, film)

    with store.local(KEY) as path:
        assert path.read_bytes() == b"film"
    assert storage.size(store, KEY) == 4
    assert not film.exists()


def test_what_is_put_twice_is_the_second(store, film, tmp_path):
    store.put(KEY, film)
    again = tmp_path / "again.mp4"
    again.write_bytes(b"another")

    store.put(KEY, again)

    with store.local(KEY) as path:
        assert path.read_bytes() == b"another"


def test_many_are_read_together_and_one_that_is_gone_is_named(store, tmp_path):
    keys = [f"jobs/{JOB}/segments/{index}.mp4" for index in range(3)]
    for key in keys[:2]:
        path = tmp_path / "segment.mp4"
        path.write_text(key)
        store.put(key, path)
    checks = []

    with store.all_local(keys[:2], lambda: checks.append(1)) as paths:
        assert [path.read_text() for path in paths] == keys[:2]
    assert checks
    with pytest.raises(StereoSpotError) as raised, store.all_local(keys, list):
        pass
    assert raised.value.code is ErrorCode.OBJECT_MISSING


def test_an_adopted_film_stays_where_it_is(store, film):
    store.adopt(KEY, film)

    with store.local(KEY) as path:
        assert path.read_bytes() == b"film"
    assert film.read_bytes() == b"film"


def test_deleting_a_prefix_leaves_its_neighbours(store, tmp_path):
    for name in (f"segments/{JOB}/1.mp4", f"segments/{JOB}/2.mp4", "segments/x/1.mp4"):
        path = tmp_path / "part.mp4"
        path.write_bytes(b"part")
        store.put(name, path)

    store.delete_prefix(f"segments/{JOB}/")
    store.delete_prefix(f"segments/{JOB}/")

    assert storage.size(store, f"segments/{JOB}/1.mp4") is None
    assert storage.size(store, "segments/x/1.mp4") == 4


def test_deleting_an_adopted_film_spares_the_film(film, tmp_path):
    store = storage.Disk(tmp_path / "store")
    store.adopt(KEY, film)

    store.delete_prefix(f"input/{JOB}/")

    assert film.read_bytes() == b"film"


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (KEY, ErrorCode.SOURCE_MISSING),
        (f"jobs/{JOB}/segments/7.mp4", ErrorCode.OBJECT_MISSING),
    ],
)
def test_only_a_source_that_is_gone_is_for_the_person_to_mend(store, key, code):
    def read() -> bytes:
        with storage.translated(), store.local(key) as path:
            return path.read_bytes()

    with pytest.raises(StereoSpotError) as raised:
        read()

    assert raised.value.code is code


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_who_must_free_space(number):
    with (
        pytest.raises(StereoSpotError, match="whoever runs StereoSpot") as raised,
        storage.translated(),
    ):
        raise OSError(number, "No space left on device")

    assert raised.value.code is ErrorCode.DISK_FULL


def test_only_stereo_segments_are_tagged_to_expire(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="films")
        bucket = storage.Bucket(bucket_name="films", region_name="us-east-1")
        for name in (f"jobs/{JOB}/segments/7.mp4", f"jobs/{JOB}/final.mp4"):
            path = tmp_path / "x.mp4"
            path.write_bytes(b"x")
            bucket.put(name, path)

        tags = {
            name: client.get_object_tagging(Bucket="films", Key=name)["TagSet"]
            for name in (f"jobs/{JOB}/segments/7.mp4", f"jobs/{JOB}/final.mp4")
        }

    assert tags[f"jobs/{JOB}/final.mp4"] == []
    assert tags[f"jobs/{JOB}/segments/7.mp4"] == [
        {"Key": "stereo-spot-lifecycle", "Value": "expire-segments"}
    ]


def test_films_on_a_disk_are_private(film, tmp_path):
    store = storage.Disk(tmp_path / "store")
    film.chmod(0o644)

    store.put(KEY, film)

    path = Path(store.path(KEY))
    for ours in (path, *path.parents[: path.parents.index(tmp_path)]):
        assert ours.stat().st_mode & 0o077 == 0


def test_the_keys_below_a_prefix_are_listed(store, film):
    store.put(KEY, film)

    assert store.keys(f"input/{JOB}/") == {KEY}
    assert store.keys(f"segments/{JOB}/") == set()


def test_what_a_killed_process_left_is_cleared_and_what_lives_is_not(settings):
    left = settings.TEMPORARY_DIR / "left"
    left.mkdir()
    (left / "part.mp4").touch()
    with storage.temporary_dir() as alive:
        for folder in (left, alive):
            os.utime(folder, (0, 0))

        storage.clear_leftovers()

        assert alive.exists()
    assert not left.exists()


def test_an_upload_is_cleared_only_when_it_has_long_stood_still(settings):
    old, young = (settings.TEMPORARY_DIR / name for name in ("a.upload", "b.upload"))
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))

    storage.clear_leftovers()

    assert (old.exists(), young.exists()) == (False, True)


def test_a_temporary_folder_is_gone_whatever_happens():
    folders = []

    def fail() -> None:
        with storage.temporary_dir() as folder:
            folders.append(folder)
            (folder / "part.mp4").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not folders[0].exists()
