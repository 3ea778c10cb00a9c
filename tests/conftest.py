from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.utils.timezone import now

from apps.jobs import storage
from apps.jobs.models import Job, Segment
from apps.monitoring import tallies
from contract.frames import Picture, SegmentFrames

BROWSER, DEPLOY = (Path(__file__).parent / name for name in ("browser", "deploy"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests share a process; those of a folder here share one stack or system."""
    for item in items:
        if BROWSER in item.path.parents:
            item.add_marker(pytest.mark.browser)
        shared = {BROWSER, DEPLOY} & set(item.path.parents)
        group = shared.pop() if shared else item.path
        item.add_marker(pytest.mark.xdist_group(str(group)))


@pytest.fixture(autouse=True)
def own_store(settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each test has an empty store of its own."""
    folder = tmp_path_factory.mktemp("store")
    for name in ("source", "result"):
        settings.STORAGES = settings.STORAGES | {
            name: settings.STORAGES[name] | {"OPTIONS": {"location": folder / name}}
        }
    settings.TEMPORARY_DIR = folder / "tmp"
    settings.TEMPORARY_DIR.mkdir()
    return folder


@pytest.fixture(autouse=True)
def plain_static(settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Static files under their own names: nobody has collected them."""
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": plain}}
    settings.STATIC_ROOT = tmp_path_factory.mktemp("static")


@pytest.fixture(autouse=True)
def counted_in_the_process(monkeypatch) -> None:
    """What a test's own process counts is added to no row, unless the test asks."""
    monkeypatch.setattr(tallies, "FLUSH_SECONDS", float("inf"))


@pytest.fixture
def alice(db) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def charlie(db) -> User:
    """Has no business with Alice's jobs."""
    return User.objects.create_user("charlie")


@pytest.fixture
def picture() -> Picture:
    return Picture(eye_width=64, eye_height=36)


@pytest.fixture
def frames() -> SegmentFrames:
    return SegmentFrames(time_base=(1, 25), start=0, pts=tuple(range(25)))


@pytest.fixture
def job(alice: User, picture: Picture, frames: SegmentFrames) -> Job:
    """Alice's film, cut into three segments, the first of them done."""
    job = Job.objects.create(
        owner=alice,
        title="Rain",
        mode="sbs",
        status=Job.Status.CHUNKED,
        attempt=1,
        total_segments=3,
        film={},
        picture=picture.model_dump(mode="json"),
        started_at=now() - timedelta(minutes=1),
        notify_at=now() + timedelta(minutes=1),
    )
    for index in range(3):
        Segment.objects.create(
            job=job,
            index=index,
            frames=frames.model_dump(mode="json"),
            frame_count=25,
            notify_at=now() + timedelta(minutes=1),
        )
    job.segments.filter(index=0).update(status="done", seconds=9.0, notify_at=None)
    for segment in job.segments.all():
        storage.source().save(segment.source_key, ContentFile(b"segment"))
    storage.result().save(job.segments.all()[0].stereo_key, ContentFile(b"stereo"))
    return job
