"""Named points of the product's code at which a process may be ordered to die.

`install` wraps the product's functions from outside: no hook of ours is in there.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from typing import Any

from botocore.client import BaseClient
from celery.signals import after_task_publish, before_task_publish
from django.conf import settings

from apps.jobs import ledger, storage
from contract.keys import FinalKey, SegmentKey, StereoSegmentKey
from tests.chaos.journal import Journal
from tests.chaos.orders import Orders

_STEPS = (
    # media
    *("claim_stage", "finish_chunk", "finish_concat"),
    # gpu
    *("claim_segment", "finish_segment"),
    # control
    *("note_sent", "expire_segment", "expire_stage", "note_tidied"),
)
_KEYS = {"segment": SegmentKey, "stereo": StereoSegmentKey, "final": FinalKey}
_AROUND = (
    *_STEPS,
    *(f"put-{kind}" for kind in _KEYS),
    "delete",
    "send-concat",
)
POINTS = (
    *(f"{when}-{step}" for step in _AROUND for when in ("before", "after")),
    # Some of a film's messages are sent, others are not.
    "after-send-infer",
    "during-infer",
)

CHILD = "child"
"""Order: the process kills itself; of a prefork worker, one of its children."""
GROUP = "group"
"""Order: the process kills its whole worker."""

folder = settings.DATA_DIR / "chaos"
orders = Orders(folder / "orders")
journal = Journal(folder / "journal")


def reached(point: str) -> None:
    """Do what is ordered for here, if anything."""
    order = orders.take(point)
    if order == CHILD:
        journal.write("killed", detail=point)
        os.kill(os.getpid(), signal.SIGKILL)
    elif order == GROUP:
        journal.write("killed", pid=0, detail=point)
        os.killpg(os.getpgrp(), signal.SIGKILL)


def install() -> None:
    for step in _STEPS:
        _wrap(ledger, step, lambda *args, step=step: step)
    _wrap(storage.Disk, "put", _kind_of_put)
    _wrap(storage.Disk, "delete_prefix", lambda *args: "delete")
    _watch_messages()


def _wrap(owner: Any, name: str, step_of: Callable[..., str | None]) -> None:
    """Pass points before and after the function."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def passing(*args: Any, **kwargs: Any) -> Any:
        step = step_of(*args)
        if step is None:
            return function(*args, **kwargs)
        reached(f"before-{step}")
        result = function(*args, **kwargs)
        reached(f"after-{step}")
        return result

    setattr(owner, name, passing)


def _kind_of_put(store: storage.Disk, key: str, *args: object) -> str | None:
    for kind, parser in _KEYS.items():
        if found := parser.parse(key):
            if kind == "final":
                journal.write("final", job=str(found.job_id))
            return f"put-{kind}"
    return None


def _watch_messages() -> None:
    before_task_publish.connect(_before_publish, sender="concat", weak=False)
    after_task_publish.connect(_after_publish, sender="concat", weak=False)
    # Celery's signals come before a batch is sent, so the middle of it is below them.
    call = BaseClient._make_api_call

    @functools.wraps(call)
    def watched(client: BaseClient, operation: str, parameters: Any) -> Any:
        answer = call(client, operation, parameters)
        if operation.startswith("SendMessage") and '"infer"' in str(parameters):
            reached("after-send-infer")
        return answer

    BaseClient._make_api_call = watched


def _before_publish(**facts: Any) -> None:
    reached("before-send-concat")


def _after_publish(**facts: Any) -> None:
    reached("after-send-concat")
