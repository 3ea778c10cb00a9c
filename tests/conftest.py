from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.utils.timezone import now
from xdist.scheduler import LoadScopeScheduling

from apps.jobs import storage
from apps.jobs.models import Job, Segment
from apps.monitoring import tallies
from contract.frames import Picture, SegmentFrames

TOGETHER = ("tests/browser/", "tests/deploy/")
"""Folders whose tests share one stack, or one system."""
LONG = (*TOGETHER, "tests/chaos/", "tests/path/", "tests/workers/", "tests/monitoring/")
"""Begun first, so that no process is left alone with one of them at the end."""


class ByFile(LoadScopeScheduling):
    """A file's tests share a process, as do those of the folders above."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((f for f in TOGETHER if file.startswith(f)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/browser/"):
            item.add_marker(pytest.mark.browser)
    items.sort(key=lambda item: _rank(item.nodeid))


def _rank(nodeid: str) -> int:
    ranks = (rank for rank, folder in enumerate(LONG) if nodeid.startswith(folder))
    return next(ranks, len(LONG))


@pytest.fixture(autouse=True)
def own_store(settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each test has an empty store of its own."""
    folder = tmp_path_factory.mktemp("store")
    for name in ("source", "result", "story"):
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
