"""A film that nobody brings: from its address to the work, with the competition for it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.utils.timezone import now

from apps.jobs import ledger, linking, storage
from apps.jobs.ledger import Refused
from apps.jobs.models import Event, Job
from apps.jobs.views.progress import Progress
from apps.pipeline import messages, retrying
from contract.errors import ErrorCode, StereoSpotError
from contract.origins import Link
from tests.concurrency import at_once

URL = "https://films.example/a%20walk.mp4?key=secret"
USERS = StereoSpotError(ErrorCode.LINK_REFUSED, "The film is not there.")


@pytest.fixture(autouse=True)
def sent(monkeypatch, settings) -> list[str]:
    """The stages that were asked for."""
    settings.INGEST_HOSTS = ["films.example"]
    stages: list[str] = []
    monkeypatch.setattr(messages, "send_stage", lambda job: stages.append(job.status))
    return stages


@pytest.fixture
def waiting(alice) -> Job:
    """It has an address, and nobody has begun."""
    origin = Link(url=URL).model_dump(mode="json")
    return Job.objects.create(owner=alice, title="A walk", mode="sbs", origin=origin)


@pytest.fixture
def fetching(waiting) -> Job:
    ledger.fetch(waiting.pk)
    claimed = ledger.claim_stage(waiting.pk, Job.Status.INGESTING)
    assert isinstance(claimed, Job)
    return claimed


def status(job: Job) -> str:
    job.refresh_from_db()
    return job.status


@pytest.mark.django_db(transaction=True)
def test_a_film_that_is_asked_for_eight_times_is_fetched_once(waiting):
    answers = at_once([lambda: ledger.fetch(waiting.pk)] * 8)

    assert answers.count(True) == 1
    assert Event.objects.filter(kind="fetching").count() == 1
    assert status(waiting) == Job.Status.INGESTING


@pytest.mark.django_db(transaction=True)
def test_a_film_is_fetched_by_one_of_eight_workers(waiting):
    ledger.fetch(waiting.pk)

    claims = at_once([lambda: ledger.claim_stage(waiting.pk, Job.Status.INGESTING)] * 8)

    assert claims.count(Refused.TAKEN) == 7


@pytest.mark.django_db(transaction=True)
def test_finishing_and_cancelling_at_once_leave_one_truth(fetching):
    finished, cancelled = at_once(
        [
            lambda: ledger.finish_ingest(fetching, "mkv", "Rain"),
            lambda: ledger.cancel(fetching.pk),
        ]
    )

    assert cancelled
    assert status(fetching) == Job.Status.CANCELLED
    assert Event.objects.filter(kind="ingested").count() == int(finished)


def test_a_film_that_is_brought_is_not_fetched(alice):
    brought = Job.objects.create(owner=alice, title="Rain", mode="sbs")

    assert not ledger.fetch(brought.pk)
    assert status(brought) == Job.Status.CREATED


def test_what_was_found_is_kept_and_the_film_is_cut_next(fetching):
    assert ledger.finish_ingest(fetching, "mkv", "Rain")

    assert status(fetching) == Job.Status.CHUNKING
    assert (fetching.source_extension, fetching.title) == ("mkv", "Rain")
    assert fetching.source_key.endswith("/source.mkv")
    # Asked again, because the answer was lost, it is the same.
    assert ledger.finish_ingest(fetching, "mkv", "Rain")


def test_the_late_film_of_a_lost_worker_changes_nothing(fetching):
    expired = now() - timedelta(seconds=1)
    Job.objects.filter(pk=fetching.pk).update(lease_expires_at=expired)
    ledger.expire_stage(fetching.pk)
    ledger.claim_stage(fetching.pk, Job.Status.INGESTING)

    assert not ledger.finish_ingest(fetching, "mkv", "Rain")
    assert status(fetching) == Job.Status.INGESTING


def test_a_retry_fetches_again_what_is_not_there(fetching):
    ledger.fail_stage(fetching, USERS)
    assert status(fetching) == Job.Status.FAILED

    again = retrying.retry(fetching.pk)

    assert again.status == Job.Status.INGESTING
    assert again.attempt == fetching.attempt + 1


def test_a_retry_fetches_nothing_that_is_there(fetching, own_store):
    ledger.finish_ingest(fetching, "mkv", "Rain")
    fetching.refresh_from_db()
    storage.source().save(fetching.source_key, ContentFile(b"film"))
    chunk = ledger.claim_stage(fetching.pk, Job.Status.CHUNKING)
    ledger.fail_stage(chunk, USERS)

    assert retrying.retry(fetching.pk).status == Job.Status.CHUNKING


def test_the_page_tells_of_fetching_where_others_tell_of_an_upload(fetching):
    def steps() -> list[tuple[str, str]]:
        fetching.refresh_from_db()
        return [(s.name, s.state) for s in Progress.of(fetching).steps[:2]]

    assert Progress.of(fetching).sentence == "Fetching the film."
    assert steps() == [("Fetch", "current"), ("Cut", "todo")]
    ledger.finish_ingest(fetching, "mkv", "Rain")
    assert steps() == [("Fetch", "done"), ("Cut", "current")]


# --- From an address ---------------------------------------------------------------


def test_a_job_begins_with_its_address_and_a_title_read_off_it(
    alice, sent, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        job = linking.begin(Job(owner=alice, mode="sbs"), URL)

    assert job.status == Job.Status.INGESTING
    assert job.title == "a walk"
    assert sent == ["ingesting"]


@pytest.mark.parametrize(
    ("url", "title"),
    [
        ("https://films.example/a%00.mp4", "a"),
        ("https://films.example/%00", "Untitled"),
        ("https://films.example/a%0Awalk%1B.mp4", "a walk"),
        ("https://films.example/%ED%A0%80.mp4", "\N{REPLACEMENT CHARACTER}" * 3),
        (f"https://films.example/{'x' * 900}.mp4", "x" * 200),
        (f"https://{'x.' * 500}films.example/", f"https://{'x.' * 96}"),
    ],
)
def test_whatever_an_address_says_is_a_title_that_can_be_kept(alice, url, title):
    assert linking.begin(Job(owner=alice, mode="sbs"), url).title == title


def test_a_title_that_was_given_is_nobodys_to_change(alice):
    job = linking.begin(Job(owner=alice, mode="sbs", title="Mine"), URL)

    assert job.title == "Mine"
    assert job.get_origin().is_titled


def test_an_address_that_is_refused_leaves_no_job(alice, sent):
    with pytest.raises(StereoSpotError, match=r"films\.example only"):
        linking.begin(Job(owner=alice, mode="sbs"), "https://other.example/a.mp4")

    assert not Job.objects.exists()
    assert sent == []


def test_a_quota_that_is_used_up_leaves_no_job(alice, settings):
    settings.QUOTA_FILMS_AT_ONCE = 0

    with pytest.raises(StereoSpotError) as refused:
        linking.begin(Job(owner=alice, mode="sbs"), URL)

    assert refused.value.code is ErrorCode.TOO_MANY_FILMS
    assert not Job.objects.exists()
