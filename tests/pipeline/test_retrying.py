"""Retry looks at what is really there."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile

from apps.jobs import ledger, storage
from apps.jobs.models import Job
from apps.pipeline import retrying
from contract.errors import ErrorCode, StereoSpotError
from contract.keys import segments_prefix, stereo_segments_prefix


@pytest.fixture
def failed(job) -> Job:
    broken = StereoSpotError(ErrorCode.NOT_A_VIDEO, "This is a text file.")
    ledger.fail_segment(ledger.claim_segment(job.pk, 1), broken)
    return job


def statuses(job: Job) -> list[str]:
    return [segment.status for segment in job.segments.all()]


def test_it_goes_on_from_what_is_there(failed):
    again = retrying.retry(failed.pk)

    assert again.status == Job.Status.CHUNKED
    assert statuses(failed) == ["done", "pending", "pending"]


def test_a_stereo_segment_that_is_gone_is_made_again(failed):
    storage.result().delete_prefix(stereo_segments_prefix(failed.pk))

    again = retrying.retry(failed.pk)

    assert again.status == Job.Status.CHUNKED
    assert statuses(failed) == ["pending", "pending", "pending"]


def test_a_film_whose_segments_are_gone_is_cut_again(failed):
    storage.source().delete_prefix(segments_prefix(failed.pk))

    assert retrying.retry(failed.pk).status == Job.Status.CHUNKING
    assert statuses(failed) == []


def test_segments_that_nobody_needs_any_more_may_be_gone(job):
    for segment in job.segments.all():
        storage.source().delete(segment.source_key)
    job.segments.update(status="done", seconds=1.0, notify_at=None)
    for segment in job.segments.all():
        storage.result().save(segment.stereo_key, ContentFile(b"stereo"))
    ledger.reassemble_when_done(job.pk)
    claimed = ledger.claim_stage(job.pk, Job.Status.REASSEMBLING)
    ledger.fail_stage(claimed, StereoSpotError(ErrorCode.DISK_FULL, "Full."))

    assert retrying.retry(job.pk).status == Job.Status.REASSEMBLING


def test_a_job_that_has_not_failed_is_left_alone(job):
    assert retrying.retry(job.pk) is None
    assert statuses(job) == ["done", "pending", "pending"]
