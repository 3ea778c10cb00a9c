"""A film's length counts for its owner's month before anything costly is done with it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apps.jobs import ledger, storage
from apps.jobs.models import Charge, Job
from apps.pipeline import chunk as chunking
from apps.pipeline import tasks
from apps.pipeline.media.prepare import Prepared
from apps.pipeline.media.probe import Limits, probe
from contract.errors import StereoSpotError
from contract.keys import segments_prefix
from tests.inference.films import TICK, film
from tests.pipeline.test_tasks import deliver

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 3
NOBODY_STOPS_IT: Any = SimpleNamespace(check=lambda: None)


@pytest.fixture
def film_path(tmp_path: Path) -> Path:
    """Three seconds, 25 frames each."""
    times = tuple(number * 3600 for number in range(25 * SECONDS))
    return film(tmp_path / "film.mp4", times, tick=TICK, preset="ultrafast", g="10")


@pytest.fixture
def job(alice, film_path: Path) -> Job:
    job = Job.objects.create(owner=alice, title="Rain", mode="sbs")
    storage.source().put(job.source_key, film_path)
    assert ledger.start(job.pk)
    return job


def test_a_film_counts_for_as_long_as_it_is(job):
    claimed = ledger.claim_stage(job.pk, Job.Status.CHUNKING)

    chunking.chunk(claimed, NOBODY_STOPS_IT)

    assert Charge.objects.get().seconds == pytest.approx(SECONDS, abs=0.1)


def test_a_film_longer_than_what_is_left_fails_at_once_and_nothing_is_cut(
    job, alice, settings
):
    settings.QUOTA_MINUTES_A_MONTH = 1
    Charge.objects.create(owner=alice, job_id="0" * 32, seconds=59)

    with pytest.raises(StereoSpotError):
        deliver(tasks.chunk, str(job.pk))

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Job.Status.FAILED, "minutes-used-up")
    assert "of your 1 film minutes" in job.error_message
    assert not storage.source().keys(segments_prefix(job.pk))
    assert not job.segments.exists()


def test_a_header_that_says_too_little_is_not_believed(film_path):
    says = probe(film_path, Limits(bytes=10**9, seconds=3600))
    spans = [SimpleNamespace(count=150), SimpleNamespace(count=100)]
    prepared = Prepared(film_path, film_path, spans)
    short = says.model_copy(update={"duration": 0.0})
    fast = short.model_copy(update={"frame_rate": (1_000_000, 1)})

    assert chunking.film_seconds(says, prepared) == pytest.approx(10, rel=0.1)
    assert chunking.film_seconds(short, prepared) == pytest.approx(10, rel=0.1)
    assert chunking.film_seconds(fast, prepared) == pytest.approx(250 / 120)
