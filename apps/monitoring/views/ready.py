"""`/readyz`: whether what the site stands on answers: database, broker and storage.

Everybody learns whether; staff learns what, and why.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

from apps.jobs import storage
from apps.pipeline import queues

MOST_SECONDS = 5.0
"""For all of them together; what has said nothing by then is not ready."""
ABSENT = "readyz"
"""A key that no store has: to be told so is an answer."""


@never_cache
def show(request: HttpRequest) -> JsonResponse:
    found = looked()
    is_ready = not any(found.values())
    said: dict[str, object] = {"ready": is_ready}
    # Without the database nobody can be known to be staff.
    if not found["database"] and getattr(request.user, "is_staff", False):
        said |= {name: trouble or "ok" for name, trouble in found.items()}
    return JsonResponse(said, status=200 if is_ready else 503)


def looked() -> dict[str, str]:
    """By part, what is wrong with it; empty where nothing is."""
    answers: SimpleQueue[tuple[str, str]] = SimpleQueue()
    for name, look in PARTS.items():
        own = threading.Thread(target=_look, args=(name, look, answers), daemon=True)
        own.start()
    found = dict.fromkeys(PARTS, f"no answer within {MOST_SECONDS:g} s")
    end = time.monotonic() + MOST_SECONDS
    for _ in PARTS:
        try:
            name, trouble = answers.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            break
        found[name] = trouble
    return found


def _look(
    name: str, look: Callable[[], object], answers: SimpleQueue[tuple[str, str]]
) -> None:
    try:
        look()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is the answer)
        answers.put((name, f"{type(error).__name__}: {error}"))
    else:
        answers.put((name, ""))
    finally:
        connection.close()  # this thread's own


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _broker() -> None:
    with queues.queues() as ours:
        if url := ours.url("control"):
            ours.counts(url)


def _storage() -> None:
    for store in (storage.source(), storage.result()):
        storage.size(store, ABSENT)
        if isinstance(store, storage.Disk):
            store.place(ABSENT)  # makes its folder, so it can be written to


PARTS: dict[str, Callable[[], object]] = {
    "database": _database,
    "broker": _broker,
    "storage": _storage,
}
