"""The remote commands that a worker obeys, as Flower and `celery inspect` send them.

Questions are answered by the monitor's own thread, so also while the solo pool works.
What changes something runs where Celery would run it, in the event loop. Everything else
is refused with a sentence: how many processes a worker has, what it consumes and what
its limits are is the deployment's to say, and would be forgotten at the next start.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from typing import Any

from celery.concurrency import prefork
from celery.utils.collections import AttributeDict
from celery.utils.functional import pass1
from celery.worker.control import Panel

logger = logging.getLogger(__name__)

QUESTIONS = (
    "active",
    "active_queues",
    "clock",
    "conf",
    "ping",
    "query_task",
    "registered",
    "report",
    "reserved",
    "revoked",
    "scheduled",
    "stats",
)
_LOGIN = re.compile(r"://[^/@\s\"']*@")
IGNORED = ("enable_events", "heartbeat", "hello")
"""Flower sends them; events are on, and heartbeats come by themselves."""
PATIENCE = 5.0
"""Seconds that a command may wait for the event loop, which the solo pool blocks."""


def listen(consumer: Any, channel: Any) -> None:
    """Obey what comes over the channel, until that is closed."""
    # Its own producer pool has connections to the broker; we answer where we were asked.
    mailbox = copy(consumer.app.control.mailbox)
    mailbox._producer_pool = None
    node = mailbox.Node(
        consumer.hostname,
        handlers=handlers(consumer),
        channel=channel,
        state=AttributeDict(
            app=consumer.app,
            hostname=consumer.hostname,
            consumer=consumer,
            tset=pass1 if consumer.controller.use_eventloop else set,
        ),
    )
    node.listen(callback=node.handle_message)


def handlers(consumer: Any) -> dict[str, Callable[..., Any]]:
    """By name, of every command that Celery has."""
    offered: dict[str, Callable[..., Any]] = dict.fromkeys(Panel.data, _refuse)
    offered |= {name: Panel.data[name] for name in QUESTIONS}
    aliases = {f"dump_{name}": name for name in QUESTIONS}
    offered |= {a: Panel.data[a] for a in aliases if a in Panel.data}
    offered["conf"] = _conf
    offered |= dict.fromkeys(IGNORED, _ignore)
    offered["shutdown"] = _shut_down
    offered["revoke"] = _Revoke(consumer)
    return offered


def _conf(state: Any, *args: Any, **kwargs: Any) -> Any:
    """Celery hides what is called a secret, but not a password inside of a URL."""
    told = json.dumps(Panel.data["conf"](state, *args, **kwargs), default=repr)
    return json.loads(_LOGIN.sub("://********@", told))


def _refuse(state: Any, *args: Any, **kwargs: Any) -> dict[str, str]:
    return {"error": "not offered here: change the deployment instead"}


def _ignore(state: Any, *args: Any, **kwargs: Any) -> dict[str, str]:
    return {"ok": "always so"}


def _shut_down(state: Any, *args: Any, **kwargs: Any) -> None:
    """As the platform does it, so that tasks hear of it and put their work back."""
    logger.warning("Told to stop by remote control")
    os.kill(os.getpid(), signal.SIGTERM)


class _Revoke:
    """Of messages that have not been taken yet, and of what a child process does."""

    def __init__(self, consumer: Any):
        self._consumer = consumer

    def __call__(
        self, state: Any, task_id: Any, terminate: bool = False, **kwargs: Any
    ) -> Any:
        if terminate and not isinstance(self._consumer.pool, prefork.TaskPool):
            return {"error": "the pool cannot end a task that runs: cancel its film"}

        def revoke() -> Any:
            return Panel.data["revoke"](state, task_id, terminate=terminate, **kwargs)

        return self._in_loop(revoke)

    def _in_loop(self, act: Callable[[], Any]) -> Any:
        hub = self._consumer.hub
        if hub is None:
            return act()
        done: Future[Any] = Future()

        def run() -> None:
            try:
                done.set_result(act())
            except Exception as error:  # noqa: BLE001 (it is the answer)
                done.set_exception(error)

        hub.call_soon(run)
        if hub._waker is not None:
            hub._waker.wake()
        try:
            return done.result(PATIENCE)
        except TimeoutError:
            return {"ok": "the worker is busy, and will do so when it is free"}
