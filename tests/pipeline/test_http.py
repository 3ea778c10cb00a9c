"""A segment that an inference server converts, and what its client makes of trouble."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import reverse
from pydantic import SecretStr

from apps.jobs import ledger, storage
from apps.jobs.models import Invocation, Job
from apps.pipeline.backends import PausedError, SegmentClaim, direct, remote
from apps.pipeline.backends.http import Http
from apps.pipeline.leases import LeaseLostError
from contract.errors import ErrorCode, StereoSpotError
from stereospot.embedded import free_port
from tests.pipeline.server import OK, Scripted, failed, serving

pytestmark = pytest.mark.django_db(transaction=True)

NOBODY_STOPS_IT: Any = SimpleNamespace(check=lambda: None)


@pytest.fixture(autouse=True)
def hurry(monkeypatch) -> None:
    monkeypatch.setattr(remote, "TICK", 0.01)
    monkeypatch.setattr(remote, "TURN_SECONDS", 0.02)
    monkeypatch.setattr(remote, "PATIENCE", 0.3)
    monkeypatch.setattr(direct, "AGAIN_SECONDS", 0.01)


@pytest.fixture(autouse=True)
def any_object_will_do(monkeypatch) -> None:
    def verify(path: Path, *wanted: Any) -> None:
        if path.read_bytes() != b"stereo":
            raise StereoSpotError(ErrorCode.OUTPUT_INVALID, "It is damaged.")

    monkeypatch.setattr(remote, "verify_segment", verify)


@pytest.fixture
def server() -> Iterator[Scripted]:
    def write(uri: str) -> None:
        path = Path(urlsplit(uri).path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"stereo")

    with serving(Scripted(write)) as scripted:
        yield scripted


@pytest.fixture
def claim(job: Job) -> SegmentClaim:
    return SegmentClaim(ledger.claim_segment(job.pk, 1))


def convert(server: Scripted, claim: SegmentClaim, lease: Any = NOBODY_STOPS_IT) -> Any:
    return Http(server.url, SecretStr("hunter2")).convert(claim, lease)


def refused(server: Scripted, claim: SegmentClaim) -> StereoSpotError:
    with pytest.raises(StereoSpotError) as raised:
        convert(server, claim)
    return raised.value


def test_the_server_is_told_where_the_segment_is_and_where_it_goes(server, claim):
    assert convert(server, claim) == OK

    [asked], segment = server.asked, claim.segment
    assert asked.input_uri == f"file://{storage.source().path(segment.source_key)}"
    assert asked.output_uri == f"file://{storage.result().path(segment.stereo_key)}"
    assert (asked.frames, asked.attempt) == (segment.get_frames(), 1)
    assert server.tokens == ["Bearer hunter2"]
    assert claim.frames_done == 25
    assert [i.outcome for i in Invocation.objects.all()] == ["ok"]


def test_what_failed_fails_the_attempt_in_the_servers_own_words(server, claim):
    server.script.append(failed(ErrorCode.DEPTH_UNUSABLE, "Bring another one."))

    error = refused(server, claim)

    assert (error.code, error.message) == (
        ErrorCode.DEPTH_UNUSABLE,
        "Bring another one.",
    )
    assert [i.outcome for i in Invocation.objects.all()] == ["failed"]


@pytest.mark.parametrize(
    "said",
    [failed(ErrorCode.BUSY), failed(ErrorCode.STOPPING), 502, 503, 504],
    ids=str,
)
def test_a_busy_server_is_asked_again_at_no_attempt(server, claim, said):
    server.script += [said, said]

    assert convert(server, claim) == OK

    assert len(server.asked) == 3
    assert Invocation.objects.count() == 1


def test_a_server_that_is_away_for_long_puts_the_segment_back_and_the_page_says_why(
    claim, job, client, alice
):
    away = Scripted(lambda uri: None, url=f"http://127.0.0.1:{free_port()}")

    with pytest.raises(PausedError) as paused:
        convert(away, claim)
    assert claim.pause(paused.value.seconds)

    segment = job.segments.get(index=1)
    assert (segment.status, segment.failures) == ("pending", 0)
    client.force_login(alice)
    page = client.get(reverse("job", args=[job.pk])).text
    assert "Waiting for a GPU, 1 of 3 segments done." in page


def test_a_connection_that_breaks_is_made_again(server, claim):
    server.script.append("break")

    assert convert(server, claim) == OK

    assert len({asked.digest for asked in server.asked}) == 1
    assert len(server.asked) == 2


def test_a_server_that_always_breaks_off_fails_the_attempt(server, claim):
    server.script += ["break"] * 99

    assert refused(server, claim).code is ErrorCode.CRASHED

    assert len(server.asked) == direct.MOST_BREAKS + 1
    assert [i.outcome for i in Invocation.objects.all()] == ["lost"]


def test_what_is_no_inference_server_is_the_operators_to_mend(server, claim):
    server.script.append(404)

    assert refused(server, claim).code is ErrorCode.MISCONFIGURED


def test_a_server_that_breaks_without_a_word_costs_an_attempt(server, claim):
    server.script.append(500)

    error = refused(server, claim)

    assert error.code is ErrorCode.CRASHED
    assert "status 500" in error.message


def test_an_answer_without_its_object_is_an_error(server, claim):
    server.script.append("no object")

    assert refused(server, claim).code is ErrorCode.OBJECT_MISSING
    assert [i.outcome for i in Invocation.objects.all()] == ["failed"]


def test_a_damaged_object_is_deleted_so_that_it_is_made_again(server, claim):
    server.write = lambda uri: Path(urlsplit(uri).path).write_bytes(b"damaged")
    Path(storage.result().path(claim.segment.stereo_key)).parent.mkdir(
        parents=True, exist_ok=True
    )

    assert refused(server, claim).code is ErrorCode.OUTPUT_INVALID

    assert not storage.result().exists(claim.segment.stereo_key)


def test_whoever_loses_the_lease_hangs_up(server, claim):
    server.script.append("hang")

    def check() -> None:
        if server.asked:
            raise LeaseLostError

    with pytest.raises(LeaseLostError):
        convert(server, claim, SimpleNamespace(check=check))

    assert server.left.wait(10)


def test_an_answer_that_takes_too_long_is_waited_for_by_another_task(
    server, claim, settings
):
    settings.INVOCATION_WAIT_SECONDS = 0.2
    server.script.append("hang")

    with pytest.raises(PausedError):
        convert(server, claim)

    claim.pause(0)
    settings.INVOCATION_WAIT_SECONDS = 100
    again = SegmentClaim(ledger.claim_segment(claim.segment.job_id, 1))
    assert convert(server, again) == OK
    assert len({asked.digest for asked in server.asked}) == 1


def test_no_more_are_sent_than_may_be_under_way(server, job, claim, settings):
    settings.INFERENCE_MAX_IN_FLIGHT = 1
    server.script.append("hang")
    over = threading.Event()

    def check() -> None:
        if over.is_set():
            raise LeaseLostError

    def first() -> None:
        with pytest.raises(LeaseLostError):
            convert(server, claim, SimpleNamespace(check=check))

    waiting = threading.Thread(target=first)
    waiting.start()
    try:
        while not server.asked:
            over.wait(0.01)
        second = SegmentClaim(ledger.claim_segment(job.pk, 2))
        with pytest.raises(PausedError):
            convert(server, second)
        assert len(server.asked) == 1
    finally:
        over.set()
        waiting.join()
    # It was put back: the other one may go.
    claim.release()
    assert convert(server, second) == OK
