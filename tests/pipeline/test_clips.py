"""A prompt whose clip an inference server makes, and what becomes of it in trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch
from celery._state import _task_stack
from celery.exceptions import Ignore, Retry
from django.utils.timezone import now

from apps.jobs import ledger, linking, storage
from apps.jobs.models import Invocation, Job
from apps.jobs.views.advice import Advice
from apps.pipeline import infer, messages, sweep, tasks
from apps.pipeline.backends import ClipClaim, calls, direct, local, remote
from apps.pipeline.backends.http import Http
from apps.pipeline.backends.local import Local
from apps.pipeline.leases import LeaseLostError
from contract.errors import ErrorCode
from contract.generation import ClipWish, Generated
from contract.origins import Prompt
from inference import engines
from inference.encoder import writer
from tests.pipeline.server import CLIP, Scripted, failed, serving
from tests.pipeline.test_tasks import deliver

pytestmark = pytest.mark.django_db(transaction=True)

WISH = ClipWish(prompt="rain on the sea", seconds=1, width=256, height=256, seed=7)


@pytest.fixture(autouse=True)
def hurry(monkeypatch, settings) -> None:
    settings.PROMPTS = True
    monkeypatch.setattr(calls, "TICK", 0.01)
    monkeypatch.setattr(remote, "TICK", 0.01)
    monkeypatch.setattr(remote, "TURN_SECONDS", 0.02)
    settings.INVOCATION_PATIENCE_SECONDS = 1
    monkeypatch.setattr(direct, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(direct, "LOOKS", (0.05, 0.05))


@pytest.fixture(autouse=True)
def sent(monkeypatch) -> list[tuple[str, dict[str, Any]]]:
    """Task and options of every message that goes out."""
    box: list[tuple[str, dict[str, Any]]] = []

    def apply_async(signature: Any, *args: Any, **options: Any) -> None:
        first = getattr(signature, "tasks", [signature])[0]
        box.append((first.task, first.options | options))

    monkeypatch.setattr("celery.canvas.Signature.apply_async", apply_async)
    monkeypatch.setattr("celery.canvas._chain.apply_async", apply_async)
    return box


@pytest.fixture
def current() -> Iterator[None]:
    """The task is the one that Celery says is running."""
    _task_stack.push(tasks.generate)
    yield
    _task_stack.pop()


@pytest.fixture
def server(monkeypatch) -> Iterator[Scripted]:
    with serving(Scripted(clip_of(25))) as scripted:
        monkeypatch.setattr(infer, "backend", lambda: Http(scripted.url, None))
        yield scripted


def clip_of(frames: int) -> Callable[[str], None]:
    """What writes a clip of so many black frames, else as it was asked for."""

    def write(uri: str) -> None:
        path = Path(urlsplit(uri).path)
        path.parent.mkdir(parents=True, exist_ok=True)
        wanted = Prompt.of(WISH).generation(uri).model_copy(update={"frames": frames})
        with writer(path, wanted.manifest, wanted.picture, None) as append:
            for _ in range(frames):
                append(torch.zeros(1, 3, 256, 256))

    return write


@pytest.fixture
def job(alice) -> Job:
    return linking.begin_prompt(Job(owner=alice, mode="sbs"), WISH)


@pytest.fixture
def flat(alice) -> Job:
    return linking.begin_prompt(Job(owner=alice, mode="flat"), WISH)


def generate(job: Job, **request: Any) -> None:
    request = {"args": [str(job.pk)]} | request
    deliver(tasks.generate, str(job.pk), **request)
    job.refresh_from_db()


def lease(check: Callable[[], None]) -> Any:
    return SimpleNamespace(check=check)


def test_a_clip_is_asked_for_on_the_gpus_queue_and_is_cut_next(job, server, sent):
    assert [name for name, _ in sent] == ["generate"]
    assert tasks.generate.app.conf.task_routes["generate"]["queue"] == "gpu"

    generate(job)

    [asked] = server.asked
    assert asked.output_uri == f"file://{storage.source().path(job.source_key)}"
    assert (asked.prompt, asked.seed, asked.frames) == ("rain on the sea", 7, 25)
    assert job.status == Job.Status.CHUNKING
    assert Generated.model_validate(job.clip) == CLIP
    assert [name for name, _ in sent] == ["generate", "chunk"]
    assert [i.outcome for i in Invocation.objects.all()] == ["ok"]
    assert ledger.quota_of(job.owner).seconds == pytest.approx(25 / 24)


def test_a_clip_that_is_all_that_is_wanted_ends_the_job(flat, server, sent):
    generate(flat)

    assert flat.status == Job.Status.COMPLETED
    assert storage.result().exists(flat.final_key)
    assert not storage.source().exists(flat.source_key)
    assert [name for name, _ in sent] == ["generate"]
    assert Job.objects.get().get_picture().eye_width == 256


def test_a_message_that_comes_twice_makes_one_clip(job, server):
    generate(job)
    generate(job)

    assert len(server.asked) == 1


def test_a_message_that_comes_while_the_clip_is_made_waits_for_it(job, server):
    ledger.claim_stage(job.pk, Job.Status.INGESTING)

    with pytest.raises(Ignore):
        generate(job)

    assert server.asked == []


def test_whoever_takes_over_from_a_lost_worker_asks_for_the_same_clip(job, server):
    claim = ClipClaim(ledger.claim_stage(job.pk, Job.Status.INGESTING))
    server.script.append("hang")

    def check() -> None:
        if server.asked:
            Job.objects.update(lease_expires_at=now())
            raise LeaseLostError

    with pytest.raises(LeaseLostError):
        Http(server.url, None).make(claim, lease(check))
    generate(job)

    # Which the server makes once, though it is asked twice.
    assert len(server.asked) == 2
    assert len({asked.digest for asked in server.asked}) == 1
    assert {asked.linger_seconds for asked in server.asked} == {3600}
    assert "cancel" not in [enquiry.task for enquiry in server.enquiries]
    assert [i.outcome for i in Invocation.objects.all()] == ["ok"]


@pytest.mark.parametrize("stop", [ledger.cancel, ledger.delete])
def test_a_clip_that_nobody_wants_any_more_is_withdrawn_at_once(job, server, stop):
    claim = ClipClaim(ledger.claim_stage(job.pk, Job.Status.INGESTING))
    server.script.append("hang")

    def check() -> None:
        if server.asked:
            stop(job.pk)
            raise LeaseLostError

    with pytest.raises(LeaseLostError):
        Http(server.url, None).make(claim, lease(check))

    assert server.left.wait(10)
    assert server.enquiries[-1].task == "cancel"
    assert server.enquiries[-1].output_uri == server.asked[0].output_uri
    assert [i.outcome for i in Invocation.objects.all()] == ["lost"]


def test_what_a_worker_cannot_withdraw_the_sweep_does(flat, server, monkeypatch):
    claim = ClipClaim(ledger.claim_stage(flat.pk, Job.Status.INGESTING))
    opened = ledger.open_invocation(
        claim.owner, backend="http", lasting=ledger.DELIVERY
    )
    ledger.cancel(flat.pk)
    monkeypatch.setattr(sweep.invocations, "backend", lambda: Http(server.url, None))

    assert sweep.invocations.withdraw_unwanted() == 1

    assert server.enquiries[-1].output_uri == claim.target.uri
    opened.refresh_from_db()
    assert opened.outcome == "lost"


def test_a_busy_server_puts_the_clip_back_at_no_attempt(job, server, current, sent):
    server.script += [failed(ErrorCode.BUSY)] * 500

    with pytest.raises(Retry):
        generate(job)

    job.refresh_from_db()
    assert (job.lease_expires_at, job.failures) == (None, 0)
    name, options = sent[-1]
    assert (name, options["countdown"], options["task_id"]) == (
        *("generate", remote.PAUSE),
        "an id",
    )


def test_a_clip_of_the_wrong_length_is_deleted_and_made_again(job, server, sent):
    server.write = clip_of(21)

    with pytest.raises(Retry):
        generate(job)

    job.refresh_from_db()
    assert (job.status, job.failures) == (Job.Status.INGESTING, 1)
    assert not storage.source().exists(job.source_key)
    server.write = clip_of(25)
    generate(job)
    assert job.status == Job.Status.CHUNKING


def test_what_the_operator_must_mend_fails_the_job_and_says_so(job, server):
    refusal = failed(ErrorCode.WEIGHTS_FORBIDDEN, "The hub wants a token.")
    server.script.append(refusal)

    with pytest.raises(Exception, match="The hub wants a token"):
        generate(job)

    job.refresh_from_db()
    assert (job.status, job.error_message) == ("failed", "The hub wants a token.")
    advice = Advice.on(job)
    assert advice.may_retry
    assert "Whoever runs StereoSpot must act first." in advice.sentence


def test_a_film_longer_than_what_is_left_of_the_month_costs_no_gpu(
    job, server, settings
):
    settings.QUOTA_MINUTES_A_MONTH = 0

    with pytest.raises(Exception, match="of your 0 film minutes"):
        generate(job)

    job.refresh_from_db()
    assert (job.error_code, server.asked) == ("minutes-used-up", [])


def test_this_machine_makes_clips_too(job, monkeypatch):
    """The networks are another test's: here is what is counted, checked and stored."""
    steps: list[int] = []

    def make(wanted, target, *, clips, on_step):
        clip_of(25)(target.as_uri())
        on_step(0)
        on_step(3)
        on_step(0)  # that it lives, while the last frames are encoded
        steps.append(claims[0].done)
        return CLIP

    claims: list[ClipClaim] = []
    made = local._clip

    def clip(claim: ClipClaim, *others: Any) -> Generated:
        claims.append(claim)
        return made(claim, *others)

    monkeypatch.setattr(local, "_clip", clip)
    monkeypatch.setattr(engines, "clips", lambda: None)
    monkeypatch.setattr("inference.generate.generate", make)
    monkeypatch.setattr(infer, "backend", Local)

    generate(job)

    assert job.status == Job.Status.CHUNKING
    assert storage.source().exists(job.source_key)
    assert steps == [3]


def test_a_lost_message_about_a_clip_is_sent_again(job, sent, monkeypatch):
    lengths = {"gpu": 0, "media": 9, "control": 0}
    monkeypatch.setattr(messages, "waiting", lengths.__getitem__)
    Job.objects.update(notify_at=now())
    sent.clear()

    assert sweep._silent_stages() == 1

    assert [name for name, _ in sent] == ["generate"]


def test_a_message_about_a_clip_is_not_looked_for_behind_many_others(
    job, sent, monkeypatch
):
    lengths = {"gpu": 3, "media": 0, "control": 0}
    monkeypatch.setattr(messages, "waiting", lengths.__getitem__)
    Job.objects.update(notify_at=now() - 2 * sweep.PATIENCE)
    sent.clear()

    assert sweep._silent_stages() == 0
    lengths["gpu"] = 2
    assert sweep._silent_stages() == 1
