"""A segment that an inference server converts, and what its client makes of trouble."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import reverse
from django.utils.timezone import now
from pydantic import SecretStr

from apps.jobs import ledger, storage
from apps.jobs.models import Invocation, Job
from apps.pipeline import invocations
from apps.pipeline.backends import (
    PausedError,
    SegmentClaim,
    calls,
    claims,
    direct,
    remote,
)
from apps.pipeline.backends.http import Http
from apps.pipeline.leases import LeaseLostError
from contract.errors import ErrorCode, StereoSpotError
from contract.invocation import State
from stereospot.embedded import free_port
from tests.pipeline.server import OK, Scripted, failed, self_signed, serving

pytestmark = pytest.mark.django_db(transaction=True)

NOBODY_STOPS_IT: Any = SimpleNamespace(check=lambda: None)


@pytest.fixture(autouse=True)
def hurry(monkeypatch, settings) -> None:
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
    return Http(server.url, SecretStr("hunter2")).make(claim, lease)


def told(server: Scripted) -> list[str]:
    """What the server was asked beside its work."""
    return [enquiry.task for enquiry in server.enquiries]


def lose(server: Scripted, claim: SegmentClaim, lose_it: Callable[[], object]) -> None:
    """The segment is taken away while the server has it."""
    server.script.append("hang")

    def check() -> None:
        if server.asked:
            lose_it()
            raise LeaseLostError

    with pytest.raises(LeaseLostError):
        convert(server, claim, SimpleNamespace(check=check))


def refused(server: Scripted, claim: SegmentClaim) -> StereoSpotError:
    with pytest.raises(StereoSpotError) as raised:
        convert(server, claim)
    return raised.value


def test_the_server_is_told_where_the_segment_is_and_where_it_goes(server, claim):
    assert convert(server, claim) == OK

    [asked], segment = server.asked, claim.owner
    assert asked.input_uri == f"file://{storage.source().path(segment.source_key)}"
    assert asked.output_uri == f"file://{storage.result().path(segment.stereo_key)}"
    assert (asked.frames, asked.attempt) == (segment.get_frames(), 1)
    assert server.tokens == ["Bearer hunter2"]
    assert claim.done == 25
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
    Path(storage.result().path(claim.owner.stereo_key)).parent.mkdir(
        parents=True, exist_ok=True
    )

    assert refused(server, claim).code is ErrorCode.OUTPUT_INVALID

    assert not storage.result().exists(claim.owner.stereo_key)


def test_whoever_loses_the_lease_hangs_up(server, claim):
    server.script.append("hang")

    def check() -> None:
        if server.asked:
            raise LeaseLostError

    with pytest.raises(LeaseLostError):
        convert(server, claim, SimpleNamespace(check=check))

    assert server.left.wait(10)


@pytest.mark.parametrize("stop", [ledger.cancel, ledger.delete, ledger.recut])
def test_what_nobody_wants_any_more_is_withdrawn_at_once(server, claim, job, stop):
    lose(server, claim, lambda: stop(job.pk))

    assert server.left.wait(10)
    # A look that was under way may come after it.
    cancels = [each for each in server.enquiries if each.task == "cancel"]
    assert [each.output_uri for each in cancels] == [server.asked[0].output_uri]
    assert [i.outcome for i in Invocation.objects.all()] == ["lost"]


def test_what_another_worker_goes_on_with_is_not_withdrawn(server, claim, job):
    def expire() -> None:
        job.segments.filter(index=1).update(lease_expires_at=now())
        assert ledger.expire_segment(job.pk, 1)

    lose(server, claim, expire)

    assert "cancel" not in told(server)
    assert convert(server, SegmentClaim(ledger.claim_segment(job.pk, 1))) == OK
    assert len({asked.digest for asked in server.asked}) == 1
    assert [i.outcome for i in Invocation.objects.all()] == ["ok"]


def test_what_a_worker_cannot_withdraw_the_sweep_does(
    server, claim, job, settings, monkeypatch
):
    server.state = 503
    lose(server, claim, lambda: ledger.cancel(job.pk))
    assert Invocation.objects.get().answered_at is None
    monkeypatch.setattr(invocations, "backend", lambda: Http(server.url, None))

    assert invocations.withdraw_unwanted() == 0
    server.state = State.CONVERTING
    assert invocations.withdraw_unwanted() == 1

    assert Invocation.objects.get().outcome == "lost"
    assert invocations.withdraw_unwanted() == 0


def test_what_was_put_back_after_a_long_wait_can_still_be_withdrawn(
    server, claim, job, settings, monkeypatch
):
    settings.INVOCATION_WAIT_SECONDS = 0.1
    server.script.append("hang")
    with pytest.raises(PausedError):
        convert(server, claim)
    claim.pause(0)
    ledger.cancel(job.pk)
    monkeypatch.setattr(invocations, "backend", lambda: Http(server.url, None))

    assert invocations.withdraw_unwanted() == 1
    assert told(server)[-1] == "cancel"


def test_the_page_says_converting_when_the_server_does(
    server, claim, job, client, alice
):
    def sentence() -> str:
        return client.get(reverse("job", args=[job.pk])).text

    def check() -> None:
        if server.state is State.CONVERTING:
            if not Invocation.objects.filter(is_waiting=True).exists():
                raise LeaseLostError
        elif told(server).count("look") > 1:
            pages.append(sentence())
            server.state = State.CONVERTING

    pages: list[str] = []
    client.force_login(alice)
    server.state = State.WAITING
    server.script.append("hang")
    with pytest.raises(LeaseLostError):
        convert(server, claim, SimpleNamespace(check=check))

    assert "Waiting for a GPU, 1 of 3 segments done." in pages[0]
    assert "Converting, 1 of 3 segments done." in sentence()


def test_a_server_that_cannot_be_asked_how_it_stands_converts_all_the_same(
    server, claim
):
    server.state = 404
    server.script.append("hang")

    def check() -> None:
        if told(server).count("look") > 1:
            raise LeaseLostError

    with pytest.raises(LeaseLostError):
        convert(server, claim, SimpleNamespace(check=check))
    assert convert(server, claim) == OK


@pytest.mark.parametrize("answers", ["plainly", "with a certificate of its own"])
def test_a_connection_that_cannot_be_trusted_is_the_operators_to_mend(
    server, claim, answers, tmp_path
):
    port = urlsplit(server.url).port
    if answers == "plainly":
        host = f"https://127.0.0.1:{port}"
        error = refused(Scripted(server.write, url=host), claim)
    else:
        with serving(Scripted(server.write), tls=self_signed(tmp_path)) as scripted:
            error = refused(scripted, claim)

    assert error.code is ErrorCode.MISCONFIGURED
    assert "certificate" in error.message


def test_nobody_who_ends_waits_for_a_call_that_was_given_up():
    code = """
import time
import django
django.setup()
from apps.pipeline.backends.calls import attended
def check(): raise KeyError
try: attended(lambda: time.sleep(3600), check)
except KeyError: print("ended")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )

    assert done.stdout == "ended\n"


def test_an_answer_that_takes_too_long_is_waited_for_by_another_task(
    server, claim, settings
):
    settings.INVOCATION_WAIT_SECONDS = 0.2
    server.script.append("hang")

    with pytest.raises(PausedError):
        convert(server, claim)

    # Behind however long a queue: the server goes on until somebody comes, or says no.
    assert "cancel" not in told(server)
    assert server.asked[0].linger_seconds == settings.INVOCATION_LINGER_SECONDS
    claim.pause(0)
    settings.INVOCATION_WAIT_SECONDS = 100
    again = SegmentClaim(ledger.claim_segment(claim.owner.job_id, 1))
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
