"""The canvas of a film: what is sent, to which queue, under which id."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from apps.pipeline import messages, tasks
from stereospot.celery import app

JOB = UUID("12345678-1234-4234-8234-123456789abc")


def header_ids(attempt: int) -> list[str]:
    canvas = messages.conversion(JOB, [0, 1, 2], attempt=attempt)
    return [signature.options["task_id"] for signature in canvas.tasks.tasks]


def test_a_conversion_is_a_chord_whose_callback_joins():
    canvas = messages.conversion(JOB, [0, 1], attempt=1)

    assert [(task.task, list(task.args)) for task in canvas.tasks.tasks] == [
        ("infer", [str(JOB), 0]),
        ("infer", [str(JOB), 1]),
    ]
    assert (canvas.body.task, list(canvas.body.args)) == ("concat", [str(JOB)])
    assert canvas.body.immutable


def test_a_single_segment_is_a_chord_too():
    assert len(messages.conversion(JOB, [0], attempt=1).tasks.tasks) == 1


def test_the_same_message_has_the_same_id_and_another_attempt_another():
    assert header_ids(1) == header_ids(1)
    assert not set(header_ids(1)) & set(header_ids(2))
    assert len(set(header_ids(1))) == 3


def test_segments_of_different_jobs_never_share_an_id():
    other = messages.conversion(uuid4(), [0, 1, 2], attempt=1)

    assert not set(header_ids(1)) & {
        task.options["task_id"] for task in other.tasks.tasks
    }


def test_a_conversion_that_is_sent_again_is_the_same_chord_also_in_a_chain():
    def chord_id() -> str:
        canvas = messages.conversion(JOB, [0, 1], attempt=1)
        canvas.freeze("the task that it replaces")
        return (canvas | app.signature("tidy", immutable=True)).id

    assert chord_id() == chord_id()


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("chunk", "media"),
        ("concat", "media"),
        ("infer", "gpu"),
        ("tidy", "media"),
        ("sweep", "control"),
        ("tell", "control"),
    ],
)
def test_every_task_goes_to_the_queue_of_its_kind(task, queue):
    assert app.amqp.router.route({}, task)["queue"].name == queue


def test_every_task_that_is_registered_has_a_queue_of_its_own_choice(settings):
    assert tasks.infer.name in app.tasks
    tasks_of = app.tasks.items()
    ours = {name for name, task in tasks_of if task.__module__.startswith("apps.")}

    assert ours == set(settings.CELERY_TASK_ROUTES)


def test_a_pause_is_held_by_the_queue_and_not_by_a_worker(monkeypatch):
    sent = []
    monkeypatch.setattr(
        "celery.canvas.Signature.apply_async",
        lambda self, *args, **options: sent.append(self.options),
    )

    messages.send_segment(JOB, 3, attempt=1, pause=30)

    assert sent[0]["DelaySeconds"] == 30
    assert "countdown" not in sent[0]
