"""The embedded SQS, counting at the server what its callers cost."""

from __future__ import annotations

import io
import json
import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

OPERATION = "HTTP_X_AMZ_TARGET"
"""In the JSON protocol, which boto and kombu 5.7 speak, it is AmazonSQS.SendMessage."""


class Call(NamedTuple):
    queue: str
    operation: str


class CountedSqs:
    """Context manager: moto's SQS runs inside it, on a port of this machine."""

    def __init__(self, port: int) -> None:
        self._moto: Any = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._calls: Counter[Call] = Counter()
        self._bytes: Counter[Call] = Counter()
        self.polls = 0
        """That wait for a message at this moment."""
        self._server = make_server(
            "127.0.0.1", port, self._counted, True, request_handler=MotoRequestHandler
        )

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def calls(self, *queues: str) -> Counter[str]:
        """By operation, so far, of the queues whose names end so."""
        return self._of(self._calls, queues)

    def sent(self, *queues: str) -> Counter[str]:
        """Bytes of the requests, likewise."""
        return self._of(self._bytes, queues)

    def _of(self, counts: Counter[Call], queues: tuple[str, ...]) -> Counter[str]:
        found: Counter[str] = Counter()
        with self._lock:
            for call, count in counts.items():
                if call.queue.endswith(queues):
                    found[call.operation] += count
        return found

    def _counted(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(body)
        call = Call(_queue(body), str(environ.get(OPERATION, "")).rpartition(".")[2])
        is_poll = call.operation == "ReceiveMessage"
        with self._lock:
            self._calls[call] += 1
            self._bytes[call] += length
            self.polls += is_poll
        try:
            answer: Iterable[bytes] = self._moto(environ, start)
            return answer
        finally:
            with self._lock:
                self.polls -= is_poll


def _queue(body: bytes) -> str:
    """The name of the queue that a call is about; empty for those about none."""
    try:
        asked = json.loads(body)
    except ValueError:
        return ""
    return str(asked.get("QueueUrl") or asked.get("QueueName") or "")
