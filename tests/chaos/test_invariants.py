"""The checks see what they are there for: each kind of harm, planted by hand."""

from __future__ import annotations

import uuid
from pathlib import Path

import av
import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.utils.timezone import now

from apps.jobs import ledger, storage
from apps.jobs.models import Event, Job, Segment
from apps.pipeline.models import Chord
from contract.frames import SegmentFrames
from tests.chaos import films, invariants
from tests.chaos.invariants import Expected
from tests.chaos.journal import Entry

SEGMENTS, SHOT = 3, 10


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    films.make(tmp_path, SEGMENTS, SHOT / 25)
    return tmp_path


def final_of(path: Path, greys: list[int], source: Path) -> Path:
    """A film of one grey a segment, at the source's times."""
    with av.open(str(source)) as given, av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 36, "yuv420p"
        for number, frame in enumerate(given.decode(video=0)):
            luma = greys[number // SHOT]
            planes = np.full((54, 128), 128, np.uint8)
            planes[:36] = luma
            made = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            made.pts, made.time_base = frame.pts, frame.time_base
            container.mux(stream.encode(made))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def done(alice, sources: Path, tmp_path: Path) -> Job:
    """A completed job of the silent film; all of it is in order."""
    job = Job.objects.create(
        owner=alice,
        title="Silence",
        mode="sbs",
        source_extension="mkv",
        final_extension="mkv",
        status=Job.Status.COMPLETED,
        total_segments=SEGMENTS,
        finished_at=now(),
    )
    frames = SegmentFrames(time_base=(1, 25), start=0, pts=tuple(range(SHOT)))
    for index in range(SEGMENTS):
        Segment.objects.create(
            job=job,
            index=index,
            frames=frames.model_dump(mode="json"),
            frame_count=SHOT,
            status="done",
            seconds=1.0,
        )
    for kind in ("started", "chunked", "converted", "completed"):
        Event.objects.create(job=job, kind=kind)
    storage.source().adopt(job.source_key, sources / "silent.mkv")
    greys = [films.shade(str(job.pk), index) for index in range(SEGMENTS)]
    made = final_of(tmp_path / "made.mkv", greys, sources / "silent.mkv")
    storage.result().put(job.final_key, made)
    return job


@pytest.fixture
def expected(done: Job, sources: Path) -> list[Expected]:
    return [Expected(done.pk, sources / "silent.mkv", "completed", SEGMENTS)]


def found(expected: list[Expected]) -> list[str]:
    return [
        f"{violation.kind}: {violation.what}"
        for violation in (
            *invariants.stuck(expected),
            *invariants.lost(expected),
            *invariants.contradictions(),
            *invariants.orphans(),
            *invariants.temporary_files(),
        )
    ]


def test_nothing_is_found_where_all_is_in_order(expected):
    assert found(expected) == []


def test_a_missing_final_is_lost(done, expected):
    storage.result().delete(done.final_key)

    assert found(expected) == ["lost: has no final"]


def test_a_final_with_another_segment_in_a_place_is_lost(done, expected, tmp_path):
    greys = [films.shade(str(done.pk), index) for index in (0, 2, 1)]
    path = final_of(tmp_path / "x.mkv", greys, expected[0].source)
    storage.result().put(done.final_key, path)

    assert found(expected) == ["lost: shows another segment at frame 10"]


def test_a_final_that_lacks_sound_is_lost(done, expected, sources):
    wanted = Expected(done.pk, sources / "plain.mp4", "completed", SEGMENTS)

    # The times of the two sources are the same.
    assert found([wanted]) == ["lost: does not sound like its source"]


def test_a_final_that_is_short_is_lost(done, expected, sources):
    films.make(sources, SEGMENTS + 1, SHOT / 25)

    [violation] = found(expected)

    assert violation == "lost: has 30 frames for 40, or late ones"


def test_a_job_without_a_row_is_lost(done, expected):
    job_id = done.pk
    storage.result().delete(done.final_key)
    storage.source().delete(done.source_key)
    Job.objects.filter(pk=job_id).delete()

    assert found(expected) == ["lost: has no row any more"]


def test_a_good_film_that_failed_is_lost(done, expected):
    storage.result().delete(done.final_key)
    Event.objects.filter(job=done).delete()
    Job.objects.filter(pk=done.pk).update(
        status="failed", error_code="internal", error_message="Oh."
    )

    assert found(expected) == ["lost: is failed, not completed: Oh."]


def test_a_damaged_film_must_fail_of_its_source(done, expected):
    storage.result().delete(done.final_key)
    Job.objects.filter(pk=done.pk).update(
        status="failed", error_code="internal", error_message="Oh."
    )
    wanted = Expected(done.pk, expected[0].source, "failed", SEGMENTS)

    assert found([wanted]) == ["lost: failed, but not of its source: Oh."]


def test_a_job_that_is_not_over_is_stuck(job):
    wanted = Expected(job.pk, Path(), "completed", 3)

    [violation] = found([wanted])

    assert violation.startswith("stuck: status=chunking_complete, attempt=1")
    assert "segments not done: [(1, 'pending'" in violation


def test_a_deleted_job_with_a_row_is_stuck(done, expected):
    wanted = Expected(done.pk, expected[0].source, "deleted", SEGMENTS)

    assert found([wanted])[0].startswith("stuck: is not gone")


def test_a_completion_that_was_recorded_twice_is_doubled(done, expected):
    Event.objects.create(job=done, kind="completed")

    assert found(expected) == [
        "doubled: completed when over: started, chunked, converted, completed, completed"
    ]


def test_a_fact_out_of_order_contradicts(done, expected):
    Event.objects.filter(job=done, kind="chunked").delete()

    [violation] = found(expected)

    assert violation.startswith("ledger: converted when chunking")


def test_after_a_retry_facts_may_come_again(done, expected):
    for kind in ("failed", "retried", "converted", "completed"):
        Event.objects.create(job=done, kind=kind)

    assert found(expected) == []


def test_a_completed_job_with_a_missing_segment_contradicts(done, expected):
    done.segments.filter(index=1).update(status="pending", seconds=None)

    assert found(expected) == ["ledger: is completed without segment 1 (pending)"]


@pytest.mark.parametrize(
    "key",
    [
        "jobs/{}/segments/0.mp4",
        "jobs/{}/final.mp4",
        "jobs/{}/.final.mp4.part",
        "strange",
    ],
)
def test_an_object_that_nobody_needs_is_an_orphan(key, done, expected):
    storage.result().save(key.format(done.pk), ContentFile(b"left"))

    assert [line.split(":")[0] for line in found(expected)] == ["orphan"]


def test_an_object_of_an_unknown_job_is_an_orphan(done, expected):
    storage.source().save(f"input/{uuid.uuid4()}/source.mp4", ContentFile(b"left"))

    [violation] = found(expected)

    assert violation.endswith("of a job that is unknown")


def test_a_deleted_job_may_keep_nothing(done, expected):
    assert ledger.delete(done.pk)

    orphans = [str(violation) for violation in invariants.orphans()]

    assert len(orphans) == 2
    assert all(line.endswith("of a job that is deleted") for line in orphans)


def test_the_segments_of_a_failed_job_are_no_orphans(job):
    Job.objects.filter(pk=job.pk).update(
        status="failed", error_code="internal", finished_at=now(), notify_at=None
    )

    assert list(invariants.orphans()) == []


def test_a_temporary_file_is_an_orphan(own_store, done, expected):
    (own_store / "tmp" / "tmp1234").mkdir()

    assert found(expected) == ["orphan: temporary tmp1234"]


def test_a_message_left_in_a_queue_is_found():
    [violation] = invariants.messages_left({"media": 0, "gpu": 2})

    assert str(violation) == "message:  2 left in the queue gpu"


def test_a_callback_that_nobody_sent_is_found(db):
    Chord.objects.create(group_id="g", state="ready", size=1, body="{}")
    Chord.objects.create(group_id="h", state="sent", size=1, body="{}")

    [violation] = invariants.unsent_callbacks()

    assert violation.what == "nobody sent the callback of g (ready)"


def test_a_worker_that_died_of_itself_is_found():
    [violation] = invariants.dead_workers([Entry("died", 1, detail="gpu ended with 1")])

    assert str(violation) == "worker:  gpu ended with 1"
