"""What the messages of a chord's parts say of its body."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from celery import Celery, Signature, chain, chord
from celery.app.task import Context

from apps.pipeline.models import Chord

pytestmark = pytest.mark.django_db


@pytest.fixture
def app() -> Celery:
    app = Celery("mentions", broker="memory://", set_as_current=False)
    app.conf.result_backend = "apps.pipeline.chords.ChordBackend"
    app.conf.task_default_queue = f"mentions-{uuid4()}"
    app.finalize()
    return app


def task(app: Celery, name: str, **options: Any) -> Signature[Any]:
    return app.signature(name, args=["a film"], **options)


def parts(app: Celery) -> list[Signature[Any]]:
    return [task(app, "part"), task(app, "part")]


class Message(NamedTuple):
    """What waits for a worker."""

    headers: dict[str, Any]
    args: list[Any]
    canvas: dict[str, Any]

    def succeed(self, app: Celery, result: Any) -> None:
        facts = {name: self.headers[name] for name in ("id", "group")}
        request = Context({**facts, "chord": self.canvas["chord"]})
        app.backend.mark_as_done(request.id, result, request=request)


def received(app: Celery) -> list[Message]:
    """The messages that wait, which are taken."""
    found = []
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue(app.conf.task_default_queue)
        while queue.qsize():
            message = queue.get_nowait()
            message.ack()
            args, _, canvas = message.payload
            found.append(Message(message.headers, args, canvas))
    return found


@pytest.mark.parametrize("immutable", [True, False])
def test_a_part_mentions_the_body_and_the_row_has_it(app, immutable):
    body = chain(task(app, "join", immutable=immutable), task(app, "tidy"))
    made = chord(parts(app), body, app=app).apply_async()

    one, other = (message.canvas["chord"] for message in received(app))
    assert one == other
    assert one["options"] == {"task_id": made.id}
    assert one["immutable"] == immutable
    assert "tidy" not in str(one)
    assert "tidy" in str(Chord.objects.get().body)


def test_parts_that_only_mention_the_body_send_it_with_their_results(app):
    chord(parts(app), task(app, "join"), app=app).apply_async()
    for number, part in enumerate(received(app)):
        part.succeed(app, number)

    [sent] = received(app)
    assert (sent.headers["task"], sent.args) == ("join", [[0, 1], "a film"])


def test_errbacks_of_the_body_are_mentioned(app):
    """Those of a chord around it are told apart by them."""
    body = task(app, "join").on_error(task(app, "errback"))
    chord(parts(app), body, app=app).apply_async()

    options = received(app)[0].canvas["chord"]["options"]
    assert [each["task"] for each in options["link_error"]] == ["errback"]


def test_chords_of_other_backends_are_left_alone(app):
    app.conf.result_backend = "cache+memory://"
    body = chain(task(app, "join"), task(app, "tidy"))
    chord(parts(app), body, app=app).apply_async()

    assert "tidy" in str(received(app)[0].canvas["chord"])
