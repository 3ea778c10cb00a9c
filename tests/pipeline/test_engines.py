"""The engine that a job asks for, and what becomes of it where it cannot run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.urls import reverse
from huggingface_hub import constants

from apps.jobs.models import Job
from apps.pipeline import infer as inferring
from apps.pipeline import tasks
from contract.errors import Blame, ErrorCode, StereoSpotError
from contract.modes import Engine
from tests.pipeline.test_tasks import deliver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_loaded():
    inferring.pipeline.cache_clear()
    yield
    inferring.pipeline.cache_clear()


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
def test_the_pipeline_is_the_one_that_the_job_asks_for_and_loaded_once(
    monkeypatch, reference
):
    loaded: list[tuple[Engine, bool]] = []

    def load(engine: Engine, *, reference: bool) -> Any:
        loaded.append((engine, reference))
        return SimpleNamespace()

    monkeypatch.setattr("inference.engines.pipeline_for", load)

    first, again = (
        inferring.pipeline(Engine.STEREOCRAFTER, reference=reference) for _ in range(2)
    )

    assert first is again
    assert loaded == [(Engine.STEREOCRAFTER, reference)]
