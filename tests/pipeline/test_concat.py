"""Stereo segments that were verified once, and are others when they are joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Ignore
from django.core.files.base import ContentFile

from apps.jobs import ledger, storage
from apps.jobs.models import Job
from apps.pipeline import concat, messages, tasks
from apps.pipeline.media.sandbox import Sandbox
from contract.errors import ErrorCode, StereoSpotError
from tests.pipeline.test_tasks import deliver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def looks(monkeypatch) -> None:
    """Objects are told apart by their content, and joined by none of our doing."""

    def verify(path: Path, *wanted: Any) -> None:
        if path.read_bytes() != b"stereo":
            raise StereoSpotError(ErrorCode.OUTPUT_INVALID, "Of another cut.")

    def join(job: Job, lease: Any, source: Path, segments: Any, final: Path) -> None:
        for path in segments:
            verify(path)
        final.write_bytes(b"final")

    monkeypatch.setattr(concat, "verify_segment", verify)
    monkeypatch.setattr(concat, "_join", join)


@pytest.fixture
def sent(monkeypatch) -> list[Job]:
    """Jobs whose missing segments are sent for."""
    box: list[Job] = []
    monkeypatch.setattr(messages, "send_retry", box.append)
    monkeypatch.setattr(messages, "send_notices", lambda job_id: None)
    return box


@pytest.fixture
def converted(job: Job) -> Job:
    """All segments are done, and nothing is left but to join them."""
    storage.source().save(job.source_key, ContentFile(b"source"))
    for segment in job.segments.all():
        write(job, segment.index, b"stereo")
    job.segments.update(status="done", seconds=9.0, notify_at=None)
    Job.objects.update(status=Job.Status.REASSEMBLING)
    job.refresh_from_db()
    return job


def write(job: Job, index: int, content: bytes) -> None:
    key = job.segments.get(index=index).stereo_key
    storage.result().delete(key)
    storage.result().save(key, ContentFile(content))


def test_whole_stereo_segments_are_joined(converted, sent):
    deliver(tasks.concat, str(converted.pk))

    converted.refresh_from_db()
    assert converted.status == Job.Status.COMPLETED
    assert sent == []


def test_a_late_answer_of_an_old_cut_over_a_new_object_does_not_count(converted, sent):
    write(converted, 1, b"of the old cut")

    deliver(tasks.concat, str(converted.pk))

    [again] = sent
    assert again.status == Job.Status.CHUNKED
    assert again.attempt > converted.attempt
    statuses = converted.segments.order_by("index").values_list("status", flat=True)
    assert list(statuses) == ["done", "pending", "done"]
    assert not storage.result().exists(converted.segments.get(index=1).stereo_key)
    assert not storage.result().exists(converted.final_key)
    assert not isinstance(ledger.claim_segment(converted.pk, 1), ledger.Refused)


def test_a_segment_that_is_overwritten_time_and_again_fails_the_job(
    converted, sent, settings
):
    converted.segments.filter(index=1).update(failures=settings.MAX_ATTEMPTS - 1)
    write(converted, 1, b"of the old cut")

    deliver(tasks.concat, str(converted.pk))

    converted.refresh_from_db()
    assert (converted.status, converted.error_code) == ("failed", "output-invalid")
    assert sent == []
    # And Retry converts it, instead of believing what is not there any more.
    assert ledger.retry(converted.pk).status == Job.Status.CHUNKED


def test_whoever_lost_the_job_meanwhile_changes_nothing(converted, sent, monkeypatch):
    write(converted, 1, b"of the old cut")
    found = concat._is_wrong

    def is_wrong(*pair: Any) -> bool:
        ledger.cancel(converted.pk)
        return found(*pair)

    monkeypatch.setattr(concat, "_is_wrong", is_wrong)

    with pytest.raises(Ignore):
        deliver(tasks.concat, str(converted.pk))

    converted.refresh_from_db()
    assert converted.status == Job.Status.CANCELLED
    assert sent == []


def test_a_final_that_cannot_be_made_of_whole_segments_is_a_failed_attempt(
    converted, sent, monkeypatch
):
    def join(*facts: Any) -> None:
        raise StereoSpotError(ErrorCode.OUTPUT_INVALID, "It has 3 of 4 sound tracks.")

    monkeypatch.setattr(concat, "_join", join)

    failed = ledger.claim_stage(converted.pk, Job.Status.REASSEMBLING)
    with pytest.raises(StereoSpotError):
        concat.concat(failed, type("Held", (), {"check": lambda self: None})())

    assert all(s.status == "done" for s in converted.segments.all())


@pytest.mark.parametrize("are_readable", [True, False])
def test_words_lie_beside_the_final_which_is_whole_without_them(
    converted, sent, monkeypatch, are_readable
):
    def write(film: Path, folder: Path) -> list[int]:
        if not are_readable:
            raise StereoSpotError(ErrorCode.OUTPUT_INVALID, "Its subtitles are none.")
        (folder / "1.vtt").write_bytes(b"WEBVTT")
        return [1]

    monkeypatch.setattr(Sandbox, "call", lambda sandbox, _, *args: write(*args))
    words = [{"codec": "hdmv_pgs_subtitle"}, {"codec": "subrip", "language": "eng"}]
    Job.objects.update(film={"subtitles": words})

    deliver(tasks.concat, str(converted.pk))

    converted.refresh_from_db()
    assert converted.status == Job.Status.COMPLETED
    key = f"jobs/{converted.pk}/subtitles/1.vtt"
    assert storage.result().exists(key) is are_readable
