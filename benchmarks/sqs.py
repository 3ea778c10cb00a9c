"""The embedded SQS, counting at the server what its callers cost; an S3 on the side."""

from __future__ import annotations

import io
import json
import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from stereospot.sqs import count_when_asked

OPERATION = "HTTP_X_AMZ_TARGET"
"""In the JSON protocol, which boto and kombu 5.7 speak, it is AmazonSQS.SendMessage."""

COUNTED = (
    "SendMessage",
    "SendMessageBatch",
    "ReceiveMessage",
    "DeleteMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
)
"""What a message costs; not what a worker asks at its start, nor what we ask here."""
SUBRESOURCES = {"delete", "list-type", "uploads", "uploadId"}
"""Of S3's queries, those that make another operation of a method."""


class Call(NamedTuple):
    about: str
    """The queue, or the bucket."""
    operation: str
    """Of SQS by its name, of S3 by its method and what the query asks for."""


class CountedSqs:
    """Context manager: moto's SQS runs inside it, on a port of this machine."""

    def __init__(self, port: int) -> None:
        count_when_asked()
        self._moto: Any = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._calls: Counter[Call] = Counter()
        self._under_way: Counter[Call] = Counter()
        self._server = make_server(
            "127.0.0.1", port, self._counted, True, request_handler=MotoRequestHandler
        )

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def calls(self, *names: str) -> Counter[str]:
        """By operation, so far, of the queues and buckets whose names end so."""
        return self._of(self._calls, names)

    def polls(self, *names: str) -> int:
        """Of these queues, that wait for a message at this moment."""
        return self._of(self._under_way, names)["ReceiveMessage"]

    def _of(self, counts: Counter[Call], names: tuple[str, ...]) -> Counter[str]:
        found: Counter[str] = Counter()
        with self._lock:
            for call, count in counts.items():
                if call.about.endswith(names):
                    found[call.operation] += count
        return found

    def _counted(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        call = _call(environ, body)
        with self._lock:
            self._calls[call] += 1
            self._under_way[call] += 1
        try:
            return self._answer(environ, start, body)
        finally:
            with self._lock:
                self._under_way[call] -= 1

    def _answer(
        self, environ: dict[str, Any], start: Any, body: bytes
    ) -> Iterable[bytes]:
        answer: Iterable[bytes]
        try:
            answer = self._moto(environ | {"wsgi.input": io.BytesIO(body)}, start)
        except RuntimeError:
            # moto's threads change a set that another is reading. It would be a 500, of
            # which a stock worker dies.
            answer = self._moto(environ | {"wsgi.input": io.BytesIO(body)}, start)
        return answer


def _call(environ: dict[str, Any], body: bytes) -> Call:
    target = str(environ.get(OPERATION, ""))
    if target:
        return Call(_queue(body), target.rpartition(".")[2])
    bucket = str(environ.get("PATH_INFO", "")).strip("/").partition("/")[0]
    asked = parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True)
    what = sorted(asked.keys() & SUBRESOURCES)
    return Call(bucket, " ".join([str(environ.get("REQUEST_METHOD", "")), *what]))


def _queue(body: bytes) -> str:
    """The name of the queue that a call is about; empty for those about none."""
    try:
        asked = json.loads(body)
    except ValueError:
        return ""
    return str(asked.get("QueueUrl") or asked.get("QueueName") or "")
