"""A chord under the test's hand: what a worker does is called directly."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

from celery import Celery, Signature, states
from celery.app.task import Context
from celery.result import AsyncResult
from django.db import connections

from apps.pipeline.chords import ChordBackend
from apps.pipeline.models import Chord


class Trial:
    """A chord of `size` parts, applied; its messages land in memory."""

    def __init__(self, size: int, *, immutable: bool = False, **options: Any) -> None:
        self.app = Celery("trial", broker="memory://", set_as_current=False)
        self.app.conf.result_backend = "apps.pipeline.chords.ChordBackend"
        self.app.conf.task_default_queue = f"trial-{uuid4()}"
        self.app.finalize()
        self.group_id = str(uuid4())
        self.part_ids = [str(uuid4()) for _ in range(size)]
        self.body: Signature[Any] = self.app.signature(
            "body", task_id=str(uuid4()), immutable=immutable, **options
        )
        self.apply()

    @property
    def backend(self) -> ChordBackend:
        """Celery gives each thread a backend of its own."""
        backend = self.app.backend
        assert isinstance(backend, ChordBackend)
        return backend

    @property
    def row(self) -> Chord:
        return Chord.objects.get(pk=self.group_id)

    def apply(self) -> None:
        results = [AsyncResult(id, app=self.app) for id in self.part_ids]
        self.backend.apply_chord((self.group_id, results), self.body)
        self.backend.set_chord_size(self.group_id, len(results))

    def request(self, index: int, **facts: Any) -> Context:
        """What a worker knows of the part that it executes."""
        told = {"id": self.part_ids[index], "group": self.group_id, "chord": self.body}
        return Context(told | facts)

    def succeed(self, index: int) -> None:
        request = self.request(index)
        self.backend.mark_as_done(request.id, index, request=request)

    def fail(self, index: int) -> None:
        request = self.request(index)
        error = ValueError("no such film")
        self.backend.mark_as_failure(request.id, error, request=request)

    def store_only(self, index: int, state: str = states.SUCCESS) -> None:
        """The worker is killed between a part's result and its return."""
        self.backend.store_result(self.part_ids[index], index, state)

    def sent(self) -> list[dict[str, Any]]:
        """The messages that were sent since the last call."""
        found = []
        with self.app.connection_for_read() as connection:
            queue = connection.SimpleQueue(self.app.conf.task_default_queue)
            while queue.qsize():
                message = queue.get_nowait()
                message.ack()
                args, _, _ = message.payload
                headers = message.headers
                found.append(
                    {"task": headers["task"], "id": headers["id"], "args": args}
                )
        return found


def at_once(*actions: Callable[[], Any]) -> None:
    """Do them all at the same moment, each on a database connection of its own."""
    barrier = Barrier(len(actions))

    def act(action: Callable[[], Any]) -> None:
        try:
            connections["default"].ensure_connection()
            barrier.wait(10)
            action()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(actions)) as threads:
        list(threads.map(act, actions))
