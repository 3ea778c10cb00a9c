"""Telling must not take the threads that the sweep needs, nor hang with a name server."""

from __future__ import annotations

import socket
import time
from threading import Barrier, Event
from uuid import uuid4

import pytest
from celery.exceptions import Retry

from apps.pipeline import rooms, tasks, telling
from apps.pipeline.channels import posting
from apps.pipeline.channels.untold import UntoldError
from tests.concurrency import at_once


def test_of_eight_notices_two_are_told_at_once_and_six_are_put_back(monkeypatch):
    six_came_back, came_back = Event(), Barrier(6, action=lambda: six_came_back.set())
    monkeypatch.setattr(telling, "tell", lambda notice_id: six_came_back.wait(60))
    monkeypatch.setattr(tasks.tell, "retry", lambda **how: Retry(when=how["countdown"]))

    def deliver() -> int:
        """Seconds after which the message comes again; 0 when it was told."""
        try:
            tasks.tell(str(uuid4()))
        except Retry as retry:
            came_back.wait(60)
            return int(retry.when)
        return 0

    assert sorted(at_once([deliver] * 8)) == [0] * 2 + [rooms.PUT_BACK] * 6


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch):
    """asyncio itself would wait five minutes for the thread that asks it."""
    answers = Event()
    monkeypatch.setattr(posting, "SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: answers.wait(60) and [])
    begun = time.monotonic()

    with pytest.raises(UntoldError, match="No answer within"):
        posting.post("https://silent.example/", {}, b"{}", gone=())

    assert not answers.is_set()
    assert time.monotonic() - begun < 30
    answers.set()
