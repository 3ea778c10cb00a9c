"""A film comes in by parts, the same way on a disk and in a bucket."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import boto3
import pytest
from django.core import signing
from django.core.files.base import ContentFile
from django.utils.timezone import now
from moto import mock_aws

from apps.jobs import ledger, storage, uploads
from apps.jobs.models import Job, Notice, Subscription, Upload
from apps.jobs.once import UsedError
from apps.jobs.parts import BucketParts, parts_of
from apps.jobs.uploads import File
from apps.pipeline.doors import arrivals
from apps.pipeline.sweep import sweep
from apps.pipeline.tidy import tidy
from contract.errors import ErrorCode, StereoSpotError
from tests.concurrency import at_once

PART = 5 * 1024**2
"""S3 takes no smaller ones."""
FILM = bytes(range(256)) * (40 * 1024) + b"the end"
REQUEST = UUID("12345678-1234-4234-8234-123456789abc")


@pytest.fixture(params=["disk", "bucket"])
def store(request, settings, monkeypatch) -> Iterator[storage.Disk | storage.Bucket]:
    monkeypatch.setattr(uploads, "PART_BYTES", PART)
    if request.param == "disk":
        yield storage.source()
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with mock_aws():
        for name in ("films", "results"):
            boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=name)
        backend = "apps.jobs.storage.Bucket"
        settings.STORAGES = settings.STORAGES | {
            alias: {
                "BACKEND": backend,
                "OPTIONS": {"bucket_name": name, "region_name": "us-east-1"},
            }
            for alias, name in (("source", "films"), ("result", "results"))
        }
        yield storage.source()


@pytest.fixture
def sent(monkeypatch) -> list[Job]:
    """The jobs whose first stage was sent."""
    jobs: list[Job] = []
    monkeypatch.setattr("apps.jobs.uploads.messages.send_stage", jobs.append)
    monkeypatch.setattr("apps.jobs.uploads.messages.send_tidy", lambda _: None)
    return jobs


@pytest.fixture
def commits(django_capture_on_commit_callbacks):
    """Transactions commit inside of it."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def wanted(owner) -> Job:
    return Job(owner=owner, mode="sbs")


def begun(owner, *, name: str = "Rain.MKV", size: int = len(FILM), **more) -> Upload:
    job = uploads.begin(wanted(owner), film=File(name, size), **more)
    return job.uploads.get(kind="film")


def send(upload: Upload, number: int, content: bytes = FILM) -> None:
    """As a browser does it, by the address that it is given."""
    start = (number - 1) * upload.part_bytes
    part = content[start : start + upload.length_of(number)]
    address = uploads.sign_part(upload, number)
    if address.startswith("/"):
        token = address.split("/")[-1]
        again, of = uploads.signed_part(token)
        uploads.receive(again, of, io.BytesIO(part).read)
        return
    parts = parts_of(storage.source())
    assert isinstance(parts, BucketParts)
    # In the test's own process, where moto listens; what is signed is looked at below.
    where = {"Bucket": "films", "Key": upload.key, "UploadId": upload.handle}
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.upload_part(**where, PartNumber=number, Body=part)


def content(key: str) -> bytes:
    with storage.source().local(key) as path:
        return path.read_bytes()


def left(store: storage.Disk | storage.Bucket) -> list[str]:
    """Everything that takes room, seen or not."""
    if isinstance(store, storage.Disk):
        root = Path(store.location)
        return sorted(p.name for p in root.rglob("*") if p.is_file())
    client = store.connection.meta.client
    open_ = client.list_multipart_uploads(Bucket="films").get("Uploads", [])
    objects = client.list_objects_v2(Bucket="films").get("Contents", [])
    return sorted(each["Key"] for each in [*open_, *objects])


def test_parts_in_any_order_make_the_film_and_start_the_job(
    store, alice, sent, commits
):
    upload = begun(alice)
    assert uploads.missing_parts(upload) == [1, 2, 3]

    for number in (3, 1, 2):
        assert storage.size(store, upload.key) is None
        send(upload, number)
    with commits():
        assert uploads.complete(upload)

    job = upload.job
    assert (job.title, job.source_key) == ("Rain", f"input/{job.pk}/source.mkv")
    assert content(job.source_key) == FILM
    assert [each.status for each in sent] == [Job.Status.CHUNKING]
    assert len(left(store)) == 1


def test_what_has_arrived_is_not_asked_for_again(store, alice):
    upload = begun(alice)
    send(upload, 2)

    again = Upload.objects.get(pk=upload.pk)

    assert uploads.missing_parts(again) == [1, 3]


def test_a_part_that_comes_twice_is_one_part(store, alice, sent):
    upload = begun(alice)
    for number in (1, 2, 2, 3, 1):
        send(upload, number)

    assert uploads.complete(upload)
    assert content(upload.key) == FILM


def test_a_film_with_a_hole_does_not_start(store, alice, sent):
    upload = begun(alice)
    send(upload, 1)
    send(upload, 3)

    with pytest.raises(StereoSpotError, match="1 of 3 parts are missing") as raised:
        uploads.complete(upload)

    assert raised.value.code is ErrorCode.UPLOAD_INCOMPLETE
    assert storage.size(store, upload.key) is None
    assert Job.objects.get().status == Job.Status.CREATED


def test_the_job_starts_once_film_and_depth_video_are_both_whole(
    store, alice, sent, commits
):
    job = uploads.begin(
        wanted(alice), film=File("a.mp4", 3), depth=File("Tiefe 雨.MKV", 4)
    )
    film, depth = job.uploads.get(kind="film"), job.uploads.get(kind="depth")

    with commits():
        send(film, 1, b"img")
        assert not uploads.complete(film)
        assert Job.objects.get().status == Job.Status.CREATED
        send(depth, 1, b"grey")
        assert uploads.complete(depth)

    assert (content(job.source_key), content(f"input/{job.pk}/depth.mkv")) == (
        b"img",
        b"grey",
    )
    assert len(sent) == 1


def test_the_same_request_again_is_the_same_job(store, alice, charlie):
    first = begun(alice, request_id=REQUEST)
    again = begun(alice, request_id=REQUEST)
    others = begun(charlie, request_id=REQUEST)

    assert again.job_id == first.job_id
    assert others.job_id != first.job_id
    assert len(left(store)) == 2


@pytest.mark.parametrize(
    "other", [{"name": "Snow.MKV"}, {"size": 7}, {"depth": File("d.mkv", 4)}]
)
def test_another_film_under_the_same_request_is_refused(store, alice, other):
    begun(alice, request_id=REQUEST)

    with pytest.raises(UsedError):
        begun(alice, request_id=REQUEST, **other)

    assert Job.objects.count() == 1


def test_a_fault_of_the_store_passes_and_the_same_request_goes_on(
    store, alice, sent, monkeypatch
):
    def away(*_):
        raise StereoSpotError(ErrorCode.STORAGE, "Storage: it is away.")

    Subscription.objects.create(owner=alice, kinds=["job.deleted"], target="x")
    with monkeypatch.context() as fault:
        fault.setattr(type(parts_of(store)), "begin", away)
        with pytest.raises(StereoSpotError, match="away"):
            begun(alice, request_id=REQUEST)

    # Nobody was given it, so of its end nobody is told.
    job = Job.objects.get()
    assert (job.status, Notice.objects.count()) == (Job.Status.DELETED, 0)
    assert job.tidy_at is not None  # the store may have taken what it said it had not
    upload = begun(alice, request_id=REQUEST, size=3)
    send(upload, 1, b"abc")
    assert uploads.complete(upload)


def test_a_fault_at_the_second_file_is_mended_by_the_same_request(
    store, alice, sent, monkeypatch
):
    kind = type(parts_of(store))
    begin, asked = kind.begin, []

    def away(parts, key, size):
        asked.append(key)
        if len(asked) == 2:
            raise StereoSpotError(ErrorCode.STORAGE, "Storage: it is away.")
        return begin(parts, key, size)

    monkeypatch.setattr(kind, "begin", away)
    depth = File("d.mkv", 4)
    with pytest.raises(StereoSpotError, match="away"):
        begun(alice, request_id=REQUEST, size=3, depth=depth)

    film = begun(alice, request_id=REQUEST, size=3, depth=depth)

    send(film, 1, b"img")
    assert not uploads.complete(film)
    second = film.job.uploads.get(kind="depth")
    send(second, 1, b"grey")
    assert uploads.complete(second)
    assert len(asked) == 3  # what was open is left as it is


@pytest.mark.parametrize("how", ["the same request", "a resume"])
def test_who_died_before_the_store_took_parts_is_followed_by_who_asks_next(
    store, alice, sent, monkeypatch, how
):
    with monkeypatch.context() as death:
        death.setattr(uploads, "_open", lambda _: None)
        upload = begun(alice, request_id=REQUEST, size=3)
    assert uploads.missing_parts(upload) == [1]

    if how == "a resume":
        again = uploads.unfinished(upload.job, "film")
    else:
        again = begun(alice, request_id=REQUEST, size=3)

    assert again == upload
    send(again, 1, b"abc")
    assert uploads.complete(again)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_open_one_upload_all_send_to_the_same(store, alice, monkeypatch):
    with monkeypatch.context() as death:
        death.setattr(uploads, "_open", lambda _: None)
        job = begun(alice, request_id=REQUEST).job

    opened = at_once([lambda: uploads.unfinished(job, "film").handle] * 4)

    assert set(opened) == {Upload.objects.get().handle}
    assert opened[0]


@pytest.mark.parametrize(
    ("size", "code", "words"),
    [
        (0, ErrorCode.EMPTY_FILE, "Rain.MKV is empty"),
        (-1, ErrorCode.EMPTY_FILE, "Rain.MKV is empty"),
        (9_000, ErrorCode.TOO_LARGE, "has 9 kB, and at most 8 kB are accepted"),
    ],
)
def test_a_file_that_is_not_taken_leaves_nothing(
    store, alice, settings, size, code, words
):
    settings.MAX_SOURCE_BYTES = 8_000

    with pytest.raises(StereoSpotError, match=words) as raised:
        begun(alice, size=size)

    assert raised.value.code is code
    assert (Job.objects.count(), left(store)) == (0, [])


@pytest.mark.parametrize("number", [0, -1, 4, 10_001])
def test_only_parts_of_the_film_are_signed(store, alice, number):
    upload = begun(alice)

    with pytest.raises(StereoSpotError, match="parts 1 to 3"):
        uploads.sign_part(upload, number)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_finish_one_upload_one_starts_the_job(alice, sent):
    upload = begun(alice)
    send(upload, 1)

    def finish() -> bool | ErrorCode:
        try:
            return uploads.complete(Upload.objects.get(pk=upload.pk))
        except StereoSpotError as error:
            return error.code

    answers = at_once([finish] * 4)

    assert answers.count(True) == 1
    # Whom another is in the way of asks again.
    again = {False, ErrorCode.UPLOAD_INCOMPLETE, ErrorCode.UPLOAD_OVER}
    assert set(answers) <= {True, *again}
    assert len(sent) == 1
    assert content(upload.key) == FILM


def test_who_finishes_a_moment_after_another_is_well(store, alice, sent, monkeypatch):
    upload = begun(alice)
    for number in (1, 2, 3):
        send(upload, number)
    finish = type(parts_of(store)).finish

    def overtaken(parts, upload):
        finish(parts_of(store), upload)
        with contextlib.suppress(StereoSpotError):
            finish(parts, upload)

    monkeypatch.setattr(type(parts_of(store)), "finish", overtaken)

    assert uploads.complete(upload)
    assert content(upload.key) == FILM


def test_finishing_again_changes_nothing(store, alice, sent, commits):
    upload = begun(alice, size=3)
    send(upload, 1, b"abc")

    with commits():
        assert uploads.complete(upload)
        assert not uploads.complete(Upload.objects.get(pk=upload.pk))

    assert len(sent) == 1


def test_who_gives_up_leaves_nothing_behind(store, alice, sent):
    upload = begun(alice)
    send(upload, 1)

    assert uploads.abandon(upload.job)

    with pytest.raises(StereoSpotError) as raised:
        uploads.unfinished(Job.objects.get(), "film")
    assert raised.value.code is ErrorCode.UPLOAD_OVER
    assert tidy(upload.job_id)
    assert left(store) == []


def test_a_job_that_has_started_is_not_given_up(store, alice, sent):
    upload = begun(alice, size=3)
    send(upload, 1, b"abc")
    uploads.complete(upload)

    assert not uploads.abandon(upload.job)
    assert content(upload.key) == b"abc"


def test_an_upload_that_rests_for_a_day_is_given_up_and_tidied(store, alice, sent):
    upload = begun(alice)
    send(upload, 1)
    days_ago = now() - timedelta(days=2)
    Job.objects.update(created_at=days_ago)
    Upload.objects.update(touched_at=now() - timedelta(hours=23))
    sweep()
    assert Job.objects.get().status == Job.Status.CREATED

    Upload.objects.update(touched_at=days_ago)
    sweep()

    job = Job.objects.get()
    assert (job.status, job.error_code) == (Job.Status.FAILED, "source-missing")
    assert job.tidy_at is not None
    tidy(job.pk)
    assert left(store) == []


def test_a_crash_between_the_object_and_the_ledger_is_found_by_the_sweep(
    store, alice, sent, monkeypatch
):
    job = uploads.begin(wanted(alice), film=File("a.mp4", 3), depth=File("b.mkv", 4))
    film, depth = job.uploads.get(kind="film"), job.uploads.get(kind="depth")
    Job.objects.update(created_at=now() - timedelta(hours=1))
    monkeypatch.setattr("apps.pipeline.arriving.messages.send_stage", sent.append)

    for upload, content in ((film, b"img"), (depth, b"grey")):
        assert Job.objects.get().status == Job.Status.CREATED
        send(upload, 1, content)
        with monkeypatch.context() as death:
            death.setattr(ledger, "note_arrived", lambda _: False)
            uploads.complete(upload)
        sweep()

    assert Job.objects.get().status == Job.Status.CHUNKING
    assert len(sent) == 1


@pytest.mark.parametrize("who", ["the sweep", "a message of the bucket"])
def test_whoever_asks_again_after_others_found_the_film_is_answered(
    store, alice, sent, monkeypatch, who
):
    upload = begun(alice, size=3)
    send(upload, 1, b"abc")
    with monkeypatch.context() as death:
        death.setattr(ledger, "note_arrived", lambda _: False)
        uploads.complete(upload)
    monkeypatch.setattr("apps.pipeline.arriving.messages.send_stage", sent.append)

    if who == "the sweep":
        Job.objects.update(created_at=now() - timedelta(hours=1))
        sweep()
    else:
        arrivals._start(upload.job_id, upload.key)

    assert Job.objects.get().status == Job.Status.CHUNKING
    assert len(sent) == 1
    # By this its page knows that it need not send, nor complete, anything more.
    assert Upload.objects.get().arrived_at is not None


def test_a_film_of_another_size_than_was_said_starts_nothing(store, alice, sent):
    upload = begun(alice, size=3)
    store.save(upload.key, ContentFile(b"ab"))
    Job.objects.update(created_at=now() - timedelta(hours=1))

    sweep()

    assert Job.objects.get().status == Job.Status.CREATED


def test_a_file_of_any_size_has_no_more_parts_than_s3_takes(alice, settings):
    settings.MAX_SOURCE_BYTES = 10**15

    for size in (1, 16 * 1024**2, 10**9, 10**11, 10**12, 4 * 10**12 + 1):
        made = uploads._upload(wanted(alice), Upload.Kind.FILM, File("a", size))
        assert made.part_count <= uploads.MOST_PARTS
        assert sum(map(made.length_of, range(1, min(made.part_count, 9)))) <= size
        assert 0 < made.length_of(made.part_count) <= made.part_bytes


def test_a_bucket_signs_one_part_of_one_length(alice, store):
    upload = begun(alice)
    address = uploads.sign_part(upload, 3)

    if isinstance(store, storage.Disk):
        token = address.split("/")[-1]
        assert uploads.signed_part(token) == (upload, 3)
        return
    assert f"input/{upload.job_id}/source.mkv?" in address
    assert "partNumber=3" in address
    assert "X-Amz-SignedHeaders=content-length%3Bhost" in address
    assert "X-Amz-Expires=3600" in address
    assert "checksum" not in address.lower()


def test_an_address_expires(alice, monkeypatch):
    upload = begun(alice)
    token = uploads.sign_part(upload, 1).split("/")[-1]
    an_hour_later = time.time() + 3601
    monkeypatch.setattr("django.core.signing.time.time", lambda: an_hour_later)

    with pytest.raises(StereoSpotError, match="expired"):
        uploads.signed_part(token)


@pytest.mark.parametrize(
    "forged",
    ["", "x", "a:b:c", signing.dumps([1, 1])],
    ids=["nothing", "a word", "three words", "signed for something else"],
)
def test_an_address_cannot_be_made_up(db, forged):
    with pytest.raises(StereoSpotError) as raised:
        uploads.signed_part(forged)

    assert raised.value.code is ErrorCode.UNAUTHORIZED
