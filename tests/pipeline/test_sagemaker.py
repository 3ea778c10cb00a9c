"""A segment that a SageMaker endpoint converts, and what its client makes of trouble.

The endpoint is the stand-in of `tests.sagemaker`, the buckets are moto's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError
from django.urls import reverse
from django.utils.timezone import now
from moto.server import ThreadedMotoServer

from apps.jobs import ledger, linking, parts, storage
from apps.jobs.models import Invocation, Job, Segment
from apps.pipeline.backends import (
    ClipClaim,
    PausedError,
    SegmentClaim,
    calls,
    claims,
    direct,
    remote,
    sagemaker,
)
from apps.pipeline.backends.calls import AwayError
from apps.pipeline.backends.endpoint import Endpoint, State
from apps.pipeline.leases import LeaseLostError
from apps.pipeline.tidy import tidy
from contract.errors import ErrorCode, StereoSpotError
from contract.generation import ClipWish
from contract.invocation import Invocation as Request
from contract.origins import Prompt
from tests.pipeline.server import CLIP, OK, Scripted, failed
from tests.pipeline.server import serving as serving_container
from tests.sagemaker import ENDPOINT, StandIn, serving

pytestmark = pytest.mark.django_db(transaction=True)

REGION = "us-east-1"


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(aws, monkeypatch, settings) -> Any:
    """Client of the two buckets that the store consists of."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", aws)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    # Of another test, which may have had another S3.
    parts._client.cache_clear()
    client = boto3.client("s3", region_name=REGION)
    for name in ("source", "result"):
        client.create_bucket(Bucket=f"{name}s")
        bucket = {"bucket_name": f"{name}s", "region_name": REGION}
        settings.STORAGES = settings.STORAGES | {
            name: {"BACKEND": "apps.jobs.storage.Bucket", "OPTIONS": bucket}
        }
    return client


@pytest.fixture
def container(s3) -> Iterator[Scripted]:
    def write(uri: str) -> None:
        place = urlsplit(uri)
        s3.put_object(Bucket=place.netloc, Key=place.path[1:], Body=b"stereo")

    with serving_container(Scripted(write)) as scripted:
        yield scripted


@pytest.fixture
def endpoint(container, s3, monkeypatch) -> Iterator[StandIn]:
    with serving(StandIn(container.url, s3, "results")) as stand_in:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", stand_in.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", stand_in.url)
        yield stand_in


@pytest.fixture(autouse=True)
def hurry(monkeypatch, settings) -> None:
    monkeypatch.setattr(sagemaker, "POLL_SECONDS", (0.02, 0.05))
    monkeypatch.setattr(calls, "TICK", 0.01)
    monkeypatch.setattr(remote, "TICK", 0.01)
    monkeypatch.setattr(remote, "TURN_SECONDS", 0.02)
    settings.INVOCATION_PATIENCE_SECONDS = 2
    monkeypatch.setattr(direct, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(direct, "LOOKS", (0.05, 0.05))


@pytest.fixture(autouse=True)
def any_object_will_do(monkeypatch) -> None:
    def verify(path: Path, *wanted: Any) -> None:
        if path.read_bytes() != b"stereo":
            raise StereoSpotError(ErrorCode.OUTPUT_INVALID, "It is damaged.")

    monkeypatch.setattr(claims, "verify_segment", verify)
    monkeypatch.setattr(claims, "verify_clip", verify)


@pytest.fixture
def job(s3, job) -> Job:
    """Its segments lie in the bucket."""
    return job


@pytest.fixture
def claim(job: Job) -> SegmentClaim:
    return SegmentClaim(ledger.claim_segment(job.pk, 1))


def until(is_over: Any) -> Any:
    """A lease that is lost as soon as `is_over()`; nothing here is to last for long."""
    deadline = time.monotonic() + 30

    def check() -> None:
        assert time.monotonic() < deadline
        if is_over():
            raise LeaseLostError

    return SimpleNamespace(check=check)


def convert(claim: SegmentClaim, lease: Any = None) -> Any:
    remote = Endpoint(ENDPOINT, REGION)
    lease = lease or until(lambda: False)
    return sagemaker.Asynchronous(remote).make(claim, lease)


def at_once(claim: SegmentClaim) -> Any:
    return sagemaker.RealTime(Endpoint(ENDPOINT, REGION)).make(
        claim, until(lambda: False)
    )


def refused(claim: SegmentClaim) -> StereoSpotError:
    with pytest.raises(StereoSpotError) as raised:
        convert(claim)
    return raised.value


def taken_over(segment: Segment) -> SegmentClaim:
    """The worker that had it was lost, and this one has it now."""
    Segment.objects.filter(pk=segment.pk).update(lease_expires_at=now())
    return SegmentClaim(ledger.claim_segment(segment.job_id, segment.index))


def is_sent() -> bool:
    """The ledger knows where an answer will be."""
    return Invocation.objects.exclude(success_uri="").exists()


def is_waiting(index: int) -> bool:
    """What people are told of the segment's invocation."""
    return Invocation.objects.get(segment_index=index).is_waiting


def expire(invocation: Invocation) -> None:
    Invocation.objects.filter(pk=invocation.pk).update(expires_at=now())


def outcomes() -> list[str]:
    return list(Invocation.objects.order_by("id").values_list("outcome", flat=True))


def test_the_endpoint_is_told_by_an_object_what_to_do_and_for_how_long(
    endpoint, container, claim, settings
):
    assert convert(claim) == OK

    [sent], [asked], segment = endpoint.invocations, container.asked, claim.owner
    assert sent["InferenceId"] == f"{segment.job_id}-1-1"
    assert (
        sent["InputLocation"] == f"s3://sources/segments/{segment.job_id}/00001_1.json"
    )
    assert int(sent["InvocationTimeoutSeconds"]) == (
        settings.SAGEMAKER_INVOKE_TIMEOUT_SECONDS
    )
    assert int(sent["RequestTTLSeconds"]) == settings.SAGEMAKER_QUEUE_SECONDS
    assert asked == Request.of(
        asked.conversion(asked.frames, asked.picture),
        input_uri=f"s3://sources/{segment.source_key}",
        output_uri=f"s3://results/{segment.stereo_key}",
        attempt=1,
        linger_seconds=settings.INVOCATION_LINGER_SECONDS,
    )
    [row] = Invocation.objects.all()
    assert (row.outcome, row.success_uri) == ("ok", sent["OutputLocation"])
    assert row.failure_uri == sent["FailureLocation"]
    assert row.answered_at >= row.sent_at


def test_the_request_object_goes_with_the_job(endpoint, claim, s3, job):
    convert(claim)
    ledger.cancel(job.pk)

    tidy(job.pk)

    assert "Contents" not in s3.list_objects_v2(
        Bucket="sources", Prefix=f"segments/{job.pk}/"
    )


def test_whoever_takes_over_waits_for_the_same_answer(endpoint, container, claim):
    endpoint.orders.append("late")
    with pytest.raises(LeaseLostError):
        convert(
            claim,
            until(
                lambda: (
                    container.asked
                    and Invocation.objects.exclude(success_uri="").exists()
                )
            ),
        )
    again = taken_over(claim.owner)

    endpoint.late.set()
    assert convert(again) == OK

    assert len(endpoint.invocations) == 1
    assert outcomes() == ["ok"]


def test_an_answer_that_came_hours_ago_while_nobody_waited_still_counts(
    endpoint, claim
):
    with pytest.raises(LeaseLostError):
        convert(claim, until(lambda: endpoint.invocations))
    assert endpoint.written.acquire(timeout=10)
    Invocation.objects.update(expires_at=now() - timedelta(hours=5))

    assert convert(taken_over(claim.owner)) == OK

    assert len(endpoint.invocations) == 1
    assert outcomes() == ["ok"]


def test_who_dies_before_he_knows_where_the_answer_will_be_asks_the_same_again(
    endpoint, container, claim, monkeypatch
):
    class KilledError(Exception):
        """As by SIGKILL."""

    def die(*args: Any, **facts: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "note_accepted", die)
        with pytest.raises(KilledError):
            convert(claim)

    assert convert(taken_over(claim.owner)) == OK

    # To the server both are the same work, which it does once.
    assert len({asked.digest for asked in container.asked}) == 1
    assert outcomes() == ["ok"]


def test_an_answer_that_never_comes_fails_the_attempt_and_the_next_one_asks_again(
    endpoint, claim
):
    endpoint.orders.append("lose")

    with pytest.raises(LeaseLostError):
        convert(claim, until(is_sent))
    expire(Invocation.objects.get())
    second = taken_over(claim.owner)
    assert refused(second).code is ErrorCode.CRASHED

    assert convert(taken_over(claim.owner)) == OK
    assert [i["InferenceId"][-1] for i in endpoint.invocations] == ["1", "3"]
    assert outcomes() == ["lost", "ok"]


def test_the_late_answer_of_an_abandoned_attempt_changes_nothing(endpoint, claim, job):
    endpoint.orders.append("late")
    with pytest.raises(LeaseLostError):
        convert(claim, until(is_sent))
    expire(Invocation.objects.get())
    second = taken_over(claim.owner)
    refused(second)
    third = taken_over(claim.owner)
    done = convert(third)
    ledger.finish_segment(third.owner, seconds=done.seconds, version=done.version)
    assert endpoint.written.acquire(timeout=10)

    endpoint.late.set()

    assert endpoint.written.acquire(timeout=10)
    segment = job.segments.get(index=1)
    assert (segment.status, segment.attempt) == ("done", 3)
    assert ledger.finish_segment(claim.owner, seconds=1.0, version="old") is (
        ledger.Refused.TAKEN
    )
    assert outcomes() == ["lost", "ok"]


def test_what_the_server_says_of_a_failure_reaches_the_person(
    endpoint, container, claim
):
    container.script.append(failed(ErrorCode.DEPTH_UNUSABLE, 'It is "too short".'))

    error = refused(claim)

    assert (error.code, error.message) == (
        ErrorCode.DEPTH_UNUSABLE,
        'It is "too short".',
    )
    assert outcomes() == ["failed"]


def test_a_failure_in_sagemakers_own_words_is_tried_again(endpoint, claim):
    endpoint.orders.append("fail Model container failed to respond in 1800 s")

    error = refused(claim)

    assert error.code is ErrorCode.CRASHED
    assert "failed to respond in 1800 s" in error.message


def test_a_success_that_says_error_is_one(endpoint, container, claim, monkeypatch):
    said = failed(ErrorCode.OUT_OF_MEMORY).model_dump_json()
    monkeypatch.setattr(endpoint, "serve", lambda body, seconds: (200, said))

    assert refused(claim).code is ErrorCode.OUT_OF_MEMORY


def test_a_success_that_says_nothing_known_is_an_error(endpoint, claim, monkeypatch):
    monkeypatch.setattr(endpoint, "serve", lambda body, seconds: (200, "{}"))

    assert refused(claim).code is ErrorCode.CRASHED


def test_a_success_without_its_object_is_an_error(endpoint, container, claim):
    container.script.append("no object")

    assert refused(claim).code is ErrorCode.OBJECT_MISSING


def test_a_throttled_call_is_made_again_at_no_attempt(endpoint, claim):
    endpoint.orders += ["throttle", "throttle"]

    assert convert(claim) == OK

    assert (endpoint.asked, len(endpoint.invocations)) == (3, 1)


def test_an_endpoint_that_throttles_for_long_puts_the_segment_back(
    endpoint, claim, job
):
    endpoint.orders += ["throttle"] * 999

    with pytest.raises(PausedError) as paused:
        convert(claim)
    claim.pause(paused.value.seconds)

    segment = job.segments.get(index=1)
    assert (segment.status, segment.failures) == ("pending", 0)
    endpoint.orders.clear()
    assert convert(SegmentClaim(ledger.claim_segment(job.pk, 1))) == OK
    assert outcomes() == ["ok"]


def test_a_container_that_was_busy_is_no_failure(endpoint, container, claim):
    container.script.append(failed(ErrorCode.BUSY))

    with pytest.raises(PausedError):
        convert(claim)


def test_an_endpoint_that_does_not_exist_is_the_operators_to_mend(endpoint, claim):
    endpoint.exists = False

    assert refused(claim).code is ErrorCode.MISCONFIGURED


def test_an_endpoint_that_is_being_changed_is_waited_for(endpoint, claim):
    endpoint.exists = False
    endpoint.status = "Updating"

    with pytest.raises(PausedError):
        convert(claim)


def test_while_the_endpoint_starts_the_page_says_what_is_waited_for(
    endpoint, claim, client, alice, job
):
    client.force_login(alice)
    url = reverse("job", args=[job.pk])
    endpoint.orders.append("late")
    endpoint.instances = 0

    with pytest.raises(LeaseLostError):
        convert(claim, until(lambda: Invocation.objects.filter(is_waiting=True)))

    assert "Waiting for a GPU, 1 of 3 segments done." in client.get(url).text
    endpoint.instances = 1
    again = taken_over(claim.owner)
    with pytest.raises(LeaseLostError):
        convert(again, until(lambda: Invocation.objects.filter(is_waiting=False)))
    assert "Converting, 1 of 3 segments done." in client.get(url).text


def test_what_is_sent_behind_others_waits_for_a_gpu(endpoint, claim, job, monkeypatch):
    endpoint.orders += ["late", "late"]
    counted: list[int] = []
    sent_before = ledger.sent_before

    def counting(invocation: Invocation) -> int:
        counted.append(invocation.segment_index)
        return sent_before(invocation)

    monkeypatch.setattr(ledger, "sent_before", counting)
    with pytest.raises(LeaseLostError):
        convert(claim, until(lambda: counted and not is_waiting(1)))
    second = SegmentClaim(ledger.claim_segment(job.pk, 2))
    with pytest.raises(LeaseLostError):
        convert(second, until(lambda: counted.count(2) > 2))
    assert is_waiting(2)

    endpoint.instances = 2
    with pytest.raises(LeaseLostError):
        convert(taken_over(second.owner), until(lambda: not is_waiting(2)))


@pytest.mark.parametrize("call", ["state", "send"])
def test_whoever_loses_the_lease_waits_for_no_slow_call(
    endpoint, claim, monkeypatch, call
):
    begun, over = threading.Event(), threading.Event()

    def slow(*args: Any, **wishes: Any) -> Any:
        begun.set()
        over.wait(60)
        raise AwayError

    monkeypatch.setattr(Endpoint, call, slow)
    endpoint.orders.append("late")

    with pytest.raises(LeaseLostError):
        convert(claim, until(begun.is_set))

    assert not over.is_set()
    over.set()


def test_many_who_ask_for_the_endpoints_state_do_not_wait_for_one_another(
    endpoint, monkeypatch
):
    remote = Endpoint(ENDPOINT, REGION)
    begun, over = threading.Event(), threading.Event()

    def slow() -> State:
        begun.set()
        over.wait(60)
        return State("InService", 1)

    monkeypatch.setattr(remote, "_described", slow)
    first = threading.Thread(target=remote.state)
    first.start()
    assert begun.wait(10)

    assert remote.state() == State()
    over.set()
    first.join()
    assert remote.state() == State("InService", 1)


def test_who_may_not_read_the_answer_is_told_and_retry_reads_it_later(
    endpoint, claim, monkeypatch
):
    def forbidden(uri: str) -> None:
        said = {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}
        raise ClientError(said, "GetObject")

    with monkeypatch.context() as patch:
        patch.setattr(sagemaker, "fetched", forbidden)
        error = refused(claim)

    assert error.code is ErrorCode.MISCONFIGURED
    assert "docs/inference.md" in error.message
    assert convert(taken_over(claim.owner)) == OK
    assert len(endpoint.invocations) == 1


def test_a_machine_without_credentials_is_the_operators_to_mend(
    endpoint, claim, monkeypatch
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(StereoSpotError) as raised, storage.translated():
        convert(claim)

    assert raised.value.code is ErrorCode.MISCONFIGURED
    assert "credentials" in raised.value.message


def test_a_role_that_may_not_look_at_the_endpoint_can_send_to_it(endpoint, claim):
    endpoint.may_be_seen = False

    assert convert(claim) == OK


def test_no_more_are_sent_than_may_be_under_way(endpoint, claim, job, settings):
    settings.INFERENCE_MAX_IN_FLIGHT = 1
    endpoint.orders.append("late")
    with pytest.raises(LeaseLostError):
        convert(claim, until(is_sent))
    second = SegmentClaim(ledger.claim_segment(job.pk, 2))

    with pytest.raises(PausedError):
        convert(second)

    assert len(endpoint.invocations) == 1
    settings.INVOCATION_PATIENCE_SECONDS = 30
    # Nobody waits for the first one any more; that it is over is found out all the same.
    claim.release()
    endpoint.late.set()
    assert endpoint.written.acquire(timeout=10)
    second.pause(0)
    assert convert(SegmentClaim(ledger.claim_segment(job.pk, 2))) == OK
    # And who takes it up again reads its answer, and pays for none.
    assert convert(SegmentClaim(ledger.claim_segment(job.pk, 1))) == OK
    assert len(endpoint.invocations) == 2
    assert outcomes() == ["ok", "ok"]


def test_a_film_that_is_cut_again_leaves_its_invocations_counted(
    endpoint, claim, job, settings
):
    settings.INFERENCE_MAX_IN_FLIGHT = 1
    endpoint.orders.append("lose")
    with pytest.raises(LeaseLostError):
        convert(claim, until(is_sent))

    ledger.recut(job.pk)

    [left] = ledger.unattended_invocations(9)
    assert left.segment is None


def test_a_real_time_endpoint_answers_at_once(endpoint, claim):
    assert at_once(claim) == OK

    assert outcomes() == ["ok"]


def test_a_real_time_answer_that_takes_longer_than_a_minute_is_asked_for_again(
    endpoint, claim
):
    endpoint.orders.append("late")

    assert at_once(claim) == OK

    assert len({i["InferenceId"] for i in endpoint.invocations}) == 1
    assert len(endpoint.invocations) == 2


def test_a_real_time_failure_is_the_servers(endpoint, container, claim):
    container.script.append(failed(ErrorCode.DEPTH_UNUSABLE))

    with pytest.raises(StereoSpotError) as raised:
        at_once(claim)

    assert raised.value.code is ErrorCode.DEPTH_UNUSABLE


def test_a_clip_is_made_once_though_its_worker_is_lost(
    endpoint, s3, alice, settings, monkeypatch
):
    monkeypatch.setattr("apps.pipeline.messages.send_stage", lambda job: None)
    prompt = Prompt.of(ClipWish(prompt="rain on the sea"))
    job = linking.begin_from(Job(owner=alice, mode="sbs"), prompt)

    def claimed() -> ClipClaim:
        Job.objects.filter(lease_expires_at__isnull=False).update(
            lease_expires_at=now()
        )
        return ClipClaim(ledger.claim_stage(job.pk, Job.Status.INGESTING))

    endpoint.orders.append("late")
    with pytest.raises(LeaseLostError):
        convert(claimed(), until(is_sent))
    endpoint.late.set()

    assert convert(claimed()) == CLIP

    [asked] = endpoint.invocations
    assert asked["InputLocation"] == f"s3://sources/segments/{job.pk}/clip_1.json"
    assert asked["InferenceId"] == f"{job.pk}-clip-1"
    assert storage.source().exists(job.source_key)
    assert outcomes() == ["ok"]
