"""A SageMaker endpoint on this machine, as boto calls one.

It reads request objects from the bucket, asks an inference server like the service does,
and writes success and failure objects. It can throttle, be cold, lose an answer, be late
with it, or fail by itself. What it was asked to do is in `invocations`.
"""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

ENDPOINT = "stereo"
_HEADER = "X-Amzn-SageMaker-"


@dataclass
class StandIn:
    """One endpoint, `ENDPOINT`, in front of the inference server at `server`."""

    server: str
    s3: Any
    """Client of the buckets."""
    bucket: str
    """Where answers go."""
    url: str = ""
    instances: int = 1
    """0: cold, what it accepts waits until there are some."""
    may_be_seen: bool = True
    """Whether the caller's role may describe it."""
    exists: bool = True
    """Whether it takes anything."""
    status: str = "InService"
    orders: deque[str] = field(default_factory=deque)
    """One for each call to come: `throttle`, `lose`, `late`, `fail TEXT` or `serve`."""
    invocations: list[dict[str, str]] = field(default_factory=list)
    """Those that were accepted."""
    asked: int = 0
    """Calls to invoke, refused ones as well."""
    late: threading.Event = field(default_factory=threading.Event)
    """Set: answers that are late appear now."""
    written: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released with each answer that was written."""
    over: threading.Event = field(default_factory=threading.Event)

    def work(self, invocation: dict[str, str], order: str) -> None:
        """In a thread of its own: what becomes of one accepted invocation."""
        while not self.instances and not self.over.is_set():
            self.over.wait(0.02)
        if self.over.is_set() or order == "lose":
            return
        name, _, text = order.partition(" ")
        if name == "fail":
            self._write(invocation["FailureLocation"], text)
            return
        place = urlsplit(invocation["InputLocation"])
        found = self.s3.get_object(Bucket=place.netloc, Key=place.path[1:])
        seconds = float(invocation["InvocationTimeoutSeconds"])
        status, body = self.serve(found["Body"].read(), seconds)
        if name == "late":
            self.late.wait()
        if status == 200:
            self._write(invocation["OutputLocation"], body)
        else:
            told = _told(status, body)
            self._write(invocation["FailureLocation"], told)

    def serve(self, body: bytes, seconds: float) -> tuple[int, str]:
        """Ask the container."""
        request = urllib.request.Request(
            f"{self.server}/invocations", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def _write(self, uri: str, text: str) -> None:
        place = urlsplit(uri)
        with contextlib.suppress(self.s3.exceptions.ClientError):  # the test is over
            self.s3.put_object(
                Bucket=place.netloc, Key=place.path[1:], Body=text.encode()
            )
        self.written.release()


@contextlib.contextmanager
def serving(stand_in: StandIn) -> Iterator[StandIn]:
    handler = type("Handler", (_Handler,), {"stand_in": stand_in})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield stand_in
    finally:
        stand_in.over.set()
        stand_in.late.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _told(status: int, body: str) -> str:
    if status == 0:
        return "Model container failed to respond: the server did not answer in time."
    whose = "client" if status < 500 else "server"
    return (
        f'Received {whose} error ({status}) from primary with message "{body}". See '
        "the endpoint's log group in CloudWatch for more information."
    )


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Nothing on the terminal."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if target := self.headers["X-Amz-Target"]:
            assert target == "SageMaker.DescribeEndpoint", target
            self._describe()
            return
        _, name, kind = self.path.strip("/").split("/")
        if kind == "invocations" and json.loads(body)["task"] in ("look", "cancel"):
            # Answered at once, and no invocation that costs anything.
            self._pass_on(*self.stand_in.serve(body, 60.0))
            return
        self.stand_in.asked += 1
        order = self.stand_in.orders.popleft() if self.stand_in.orders else "serve"
        if order == "throttle":
            self._fail(400, "ThrottlingException", "Rate exceeded")
        elif name != ENDPOINT or not self.stand_in.exists:
            self._fail(400, "ValidationError", f"Endpoint {name} not found.")
        elif kind == "async-invocations":
            self._accept(order)
        else:
            self._answer_at_once(body, order)

    def _accept(self, order: str) -> None:
        number = uuid4()
        wishes = {
            name: self.headers[f"{_HEADER}{header}"]
            for name, header in (
                ("InputLocation", "InputLocation"),
                ("InferenceId", "Inference-Id"),
                ("RequestTTLSeconds", "RequestTTLSeconds"),
                ("InvocationTimeoutSeconds", "InvocationTimeoutSeconds"),
            )
        }
        bucket = self.stand_in.bucket
        places = {
            "OutputLocation": f"s3://{bucket}/async-responses/{number}.out",
            "FailureLocation": f"s3://{bucket}/async-failures/{number}-error.out",
        }
        invocation = wishes | places
        self.stand_in.invocations.append(invocation)
        self._send(
            202,
            {"InferenceId": wishes["InferenceId"]},
            {f"{_HEADER}{name}": uri for name, uri in places.items()},
        )
        work = self.stand_in.work
        threading.Thread(target=work, args=(invocation, order), daemon=True).start()

    def _answer_at_once(self, body: bytes, order: str) -> None:
        self.stand_in.invocations.append(
            {"InferenceId": self.headers[f"{_HEADER}Inference-Id"]}
        )
        status, text = self.stand_in.serve(body, 60.0)
        if order == "late":
            text = "Your invocation timed out while waiting for a response."
            self._model_error(0, text)
        else:
            self._pass_on(status, text)

    def _pass_on(self, status: int, text: str) -> None:
        if status != 200:
            self._model_error(status, text)
        else:
            self._send(200, json.loads(text), {})

    def _model_error(self, status: int, text: str) -> None:
        facts = {"OriginalStatusCode": status, "OriginalMessage": text}
        self._send(424, facts | {"Message": text}, {"x-amzn-ErrorType": "ModelError"})

    def _describe(self) -> None:
        if not self.stand_in.may_be_seen:
            self._fail(400, "AccessDeniedException", "not authorized")
            return
        variant = {
            "VariantName": "all",
            "CurrentInstanceCount": self.stand_in.instances,
        }
        self._send(
            200,
            {
                "EndpointName": ENDPOINT,
                "EndpointArn": "arn:aws:sagemaker:us-east-1:1:endpoint/stereo",
                "EndpointConfigName": "stereo-1",
                "EndpointStatus": self.stand_in.status,
                "CreationTime": 0,
                "LastModifiedTime": 0,
                "ProductionVariants": [variant],
            },
            {},
        )

    def _fail(self, status: int, code: str, message: str) -> None:
        body = {"__type": code, "Message": message, "message": message}
        self._send(status, body, {"x-amzn-ErrorType": code})

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
