"""The engine that a job asks for, and what becomes of it where it cannot run."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from huggingface_hub import constants

from apps.jobs.models import Job
from apps.pipeline import tasks
from apps.pipeline.backends import SegmentClaim, local
from contract.errors import Blame, ErrorCode, StereoSpotError
from contract.frames import DepthFrames
from contract.modes import Engine
from inference.engines import forget
from tests.pipeline.test_tasks import deliver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_loaded():
    forget()
    yield
    forget()


@pytest.mark.parametrize(
    ("engine", "reference"),
    [(Engine.FAST, False), (Engine.STEREOCRAFTER, False), (Engine.STEREOCRAFTER, True)],
)
def test_an_engine_without_its_weights_fails_the_job_at_once(
    job, client, alice, monkeypatch, tmp_path, engine, reference
):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    Job.objects.update(engine=engine, reference=reference)

    with pytest.raises(StereoSpotError, match="are not on this machine"):
        deliver(tasks.infer, str(job.pk), 1)

    job.refresh_from_db()
    assert job.status == "failed"
    assert ErrorCode(job.error_code).blame is Blame.OPERATOR
    client.force_login(alice)
    page = client.get(reverse("job", args=[job.pk])).text
    assert "are not on this machine" in page
    assert "Whoever runs StereoSpot must act first." in page
    # The other segments find the job failed, and load nothing.
    monkeypatch.setattr("inference.engines.pipeline_for", None)
    assert deliver(tasks.infer, str(job.pk), 2) is None


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("brings_depth", [False, True])
def test_the_pipeline_is_the_one_that_the_job_asks_for(
    monkeypatch, job, tmp_path, reference, brings_depth
):
    asked: list[tuple[Engine, bool, bool]] = []

    def load(engine: Engine, *, reference: bool, depth: bool) -> Any:
        asked.append((engine, reference, depth))
        raise ConnectionAbortedError

    monkeypatch.setattr("inference.engines.pipeline_for", load)
    segment = job.segments.select_related("job").get(index=1)
    conversion = SegmentClaim(segment).conversion()
    settings = conversion.settings.model_copy(update={"reference": reference})
    depth = DepthFrames(frames=conversion.frames, is_full_range=True)
    conversion = conversion.model_copy(
        update={
            "engine": Engine.STEREOCRAFTER,
            "settings": settings,
            "depth": depth if brings_depth else None,
        }
    )

    with pytest.raises(ConnectionAbortedError):
        local._convert(
            conversion, local.Sources(tmp_path, None), tmp_path, lambda n: None
        )

    assert asked == [(Engine.STEREOCRAFTER, reference, not brings_depth)]
