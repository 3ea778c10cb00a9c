"""Tasks of Story IV in the admin: what was asked for, what is made, and why not."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from apps.jobs import ledger
from apps.jobs.models import VideoTask
from apps.pipeline.doors import story

LIST = "/admin/jobs/videotask/"


@pytest.fixture
def site(client, db):
    client.force_login(User.objects.create_superuser("dora"))
    return client


@pytest.fixture
def task(db) -> VideoTask:
    story.handle('{"parent_id": "story", "task_id": "one", "prompt": "<b>rain</b>"}')
    return VideoTask.objects.get()


def test_a_task_is_listed_with_what_was_asked_for_and_what_is_made(site, task):
    page = site.get(LIST).text

    assert "story/one" in page
    assert "PENDING" in page
    assert "1280×704, for 1280×720" in page


def test_its_page_leads_to_its_job_and_says_its_seed(site, task):
    page = site.get(f"{LIST}{task.pk}/change/").text
    job = task.clips.get().job

    assert f'<a href="/admin/jobs/job/{job.pk}/change/">ingesting</a>' in page
    assert str(task.seed) in page
    assert "<b>rain</b>" not in page
    assert "&lt;b&gt;rain&lt;/b&gt;" in page


def test_a_task_that_was_refused_or_whose_job_is_gone_has_a_page(site, task):
    refused = VideoTask(parent_id="story", task_id="two")
    ledger.refuse_video_task(refused, "prompt: Field required")
    task.clips.get().job.delete()

    assert "prompt: Field required" in site.get(f"{LIST}{refused.pk}/change/").text
    assert site.get(f"{LIST}{task.pk}/change/").status_code == 200
    assert "prompt: Field required" in site.get(LIST).text


@pytest.mark.parametrize(
    ("search", "found"),
    [("story", 1), ("one", 1), ("story/one", 1), ("story/two", 0), ("\0", 1), ("s", 0)],
)
def test_tasks_are_found_by_whole_ids(site, task, search, found):
    page = site.get(LIST, {"q": search})

    assert page.context["cl"].result_count == found


def test_nobody_changes_a_task_here(site, task):
    assert site.get(f"{LIST}add/").status_code == 403
    assert (
        site.post(f"{LIST}{task.pk}/change/", {"status": "COMPLETED"}).status_code
        == 403
    )
    assert site.post(f"{LIST}{task.pk}/delete/", {"post": "yes"}).status_code == 403
