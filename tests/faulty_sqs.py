"""An SQS that misbehaves on command: a proxy before a good one.

    with FaultySqs("http://127.0.0.1:20001") as sqs:
        broker_url = f"sqs://x:x@127.0.0.1:{sqs.port}"  # Celery, `is_secure: False`
        client = boto3.client("sqs", endpoint_url=sqs.url, ...)
        sqs.fail("ReceiveMessage", times=2, status=503)

With `broker_url = "sqs://"` the environment's `AWS_ENDPOINT_URL_SQS` does the same. boto
and kombu send every call to that endpoint, whatever host the queue's URL names. The
proxy speaks SQS's JSON protocol and changes nothing but what it is told to.

One difference to the server behind it: moto lets a poll take messages although its client
has hung up. SQS is not known to, so such an answer is given back at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import random
import select
import socket
import struct
import threading
import time
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

PREFIX = "AmazonSQS."
LONGEST_DELAY = 900  # seconds, of SQS
FAILURE = "InternalFailure"
ANSWER_WITHIN = 60.0  # seconds, of the server behind; a long poll takes 20


@dataclass(frozen=True)
class Answer:
    """What the caller gets. Status None: the connection is reset instead."""

    status: int | None
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class FaultySqs:
    """Context manager: the proxy runs inside it, on a free port of this machine.

    `counts` has the calls by operation, also those that fail; `doubled`, `dropped` and
    `delayed` count messages under `chances`.
    """

    def __init__(self, upstream: str, *, seed: int = 0):
        self.upstream = urlsplit(upstream).netloc
        self.counts: Counter[str] = Counter()
        self.doubled = self.dropped = self.delayed = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self._chances = (0.0, 0.0, 0.0, 0)
        self._failures: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._failing_entries = 0
        self._frozen_until = 0.0
        self._down = False
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.sqs = self
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        serve = self._server.serve_forever
        threading.Thread(target=serve, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    # What the tests order.

    def fail(
        self,
        operation: str,
        *,
        times: int,
        status: int | None = 503,
        code: str = FAILURE,
    ) -> None:
        """Answer the next calls of the operation so. Status None: reset instead."""
        with self._lock:
            self._failures[operation].extend([_failure(status, code)] * times)

    def fail_entries(self, count: int) -> None:
        """Answer the next entries of SendMessageBatch as failed, by no fault of theirs."""
        with self._lock:
            self._failing_entries += count

    def freeze(self, seconds: float) -> None:
        """Never answer what is under way now or begins in that time: half-open."""
        self._frozen_until = time.monotonic() + seconds

    def chances(
        self, double: float = 0, drop: float = 0, delay: float = 0, most_delay: int = 3
    ) -> None:
        """From now on each message sent may be doubled, dropped or delayed.

        A dropped one is answered as if it had been sent. Delays are whole seconds from 1
        to `most_delay`, on top of the message's own.
        """
        self._chances = (double, drop, delay, most_delay)

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Inside, every call that begins gets a 500."""
        self._down = True
        try:
            yield
        finally:
            self._down = False

    def answer(self, operation: str, body: bytes, headers: dict[str, str]) -> Answer:
        with self._lock:
            self.counts[operation] += 1
            if self._down:
                return _failure(500, FAILURE)
            if self._failures[operation]:
                return self._failures[operation].popleft()
        if operation == "SendMessage":
            return self._send(json.loads(body), headers)
        if operation == "SendMessageBatch":
            return self._send_batch(json.loads(body), headers)
        return self.forward(operation, body, headers)

    def is_frozen(self, since: float) -> bool:
        """Whether a call that began then, by the monotonic clock, is never answered."""
        return since < self._frozen_until

    def forward(self, operation: str, body: bytes, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self.upstream, timeout=ANSWER_WITHIN)
        try:
            target = {"X-Amz-Target": PREFIX + operation}
            connection.request("POST", "/", body, headers | target)
            response = connection.getresponse()
            return Answer(response.status, response.read(), _kept(response.headers))
        finally:
            connection.close()

    def give_back(
        self, queue_url: str, answer: Answer, headers: dict[str, str]
    ) -> None:
        """Make the messages of an answer that nobody waits for visible again."""
        for message in json.loads(answer.body or "{}").get("Messages", []):
            order = {"QueueUrl": queue_url, "ReceiptHandle": message["ReceiptHandle"]}
            body = _json(order | {"VisibilityTimeout": 0})
            self.forward("ChangeMessageVisibility", body, headers)

    def _fate(self, entry: dict[str, Any]) -> tuple[bool, bool]:
        """Whether to drop and to double a message, which may be delayed in place."""
        with self._lock:
            dice = self._random
            double, drop, delay = (dice.random() < c for c in self._chances[:3])
            delay = delay and "MessageDeduplicationId" not in entry  # not FIFO's
            if drop:
                self.dropped += 1
            elif double:
                self.doubled += 1
            if delay and not drop:
                self.delayed += 1
                own = entry.get("DelaySeconds", 0) + dice.randint(1, self._chances[3])
                entry["DelaySeconds"] = min(own, LONGEST_DELAY)
            return drop, double and not drop

    def _send(self, order: dict[str, Any], headers: dict[str, str]) -> Answer:
        drop, double = self._fate(order)
        if drop:
            return Answer(200, _json(_sent(order)), _JSON)
        answer = self.forward("SendMessage", _json(order), headers)
        if double:
            self.forward("SendMessage", _json(order), headers)
        return answer

    def _send_batch(self, order: dict[str, Any], headers: dict[str, str]) -> Answer:
        kept, twice, successful, failed = [], [], [], []
        for entry in order["Entries"]:
            with self._lock:
                fails = self._failing_entries > 0
                self._failing_entries -= fails
            drop, double = self._fate(entry)
            if fails:
                failed.append(
                    {"Id": entry["Id"], "SenderFault": False, "Code": FAILURE}
                )
            elif drop:
                successful.append({"Id": entry["Id"]} | _sent(entry))
            else:
                kept.append(entry)
            if double and not fails:
                twice.append(entry)
        result: dict[str, Any] = {}
        if kept:
            order["Entries"] = kept
            answer = self.forward("SendMessageBatch", _json(order), headers)
            if answer.status != 200:
                return answer
            result = json.loads(answer.body)
        if twice:
            order["Entries"] = twice
            self.forward("SendMessageBatch", _json(order), headers)
        result["Successful"] = successful + result.get("Successful", [])
        result["Failed"] = failed + result.get("Failed", [])
        return Answer(200, _json({k: v for k, v in result.items() if v}), _JSON)


class _Server(ThreadingHTTPServer):
    sqs: FaultySqs
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may hang up, and the server behind may end before the proxy."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        began = time.monotonic()
        sqs = self.server.sqs
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = self.headers.get("X-Amz-Target", "").removeprefix(PREFIX)
        headers = dict(_kept(self.headers))
        if not sqs.is_frozen(began):
            answer = sqs.answer(operation, body, headers)
            if not sqs.is_frozen(began):
                if operation == "ReceiveMessage" and self._has_hung_up():
                    sqs.give_back(json.loads(body)["QueueUrl"], answer, headers)
                self._write(answer)
                return
        while not self._has_hung_up() and not sqs.closing.is_set():
            time.sleep(0.1)
        self.close_connection = True

    def _has_hung_up(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _write(self, answer: Answer) -> None:
        if answer.status is None:
            no_wait = struct.pack("ii", 1, 0)  # to close with a reset, not an end
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_wait)
            self.connection.shutdown(socket.SHUT_RD)
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *args: Any) -> None:
        """Quiet."""


_JSON = (("Content-Type", "application/x-amz-json-1.0"),)
_OWN = {"connection", "content-length", "date", "expect", "host", "server"}
_OWN |= {"transfer-encoding", "x-amz-target"}


def _kept(headers: Any) -> tuple[tuple[str, str], ...]:
    """The headers that pass a proxy; its own are written anew."""
    return tuple((k, v) for k, v in headers.items() if k.lower() not in _OWN)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _failure(status: int | None, code: str) -> Answer:
    if status is None:
        return Answer(None)
    side = "Sender" if status < 500 else "Receiver"
    body = {"__type": f"com.amazonaws.sqs#{code}", "message": f"{code}, as ordered"}
    in_words = ("x-amzn-query-error", f"{code};{side}")
    return Answer(status, _json(body), (*_JSON, in_words))


def _sent(entry: dict[str, Any]) -> dict[str, str]:
    """What SQS says of a message that it has taken."""
    md5 = hashlib.md5(entry["MessageBody"].encode()).hexdigest()
    return {"MD5OfMessageBody": md5, "MessageId": str(uuid.uuid4())}
