"""The real server in a process of its own, for tests to talk to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

PATIENCE = 60.0
"""Seconds after which a test gives up; nothing here is meant to take as long."""
OWN = ("INFERENCE_", "SAGEMAKER_", "AWS_", "STEREOSPOT_")
"""Variables of the tests' own environment that a server must not see."""


class Serving:
    """A server that runs; its log is kept."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self._child: int | None = None
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._callers = ThreadPoolExecutor(8)
        port = self.wait_for("listening")["port"]
        self.http = httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False
        )

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                # x264 writes past every log that it is given.
                event = json.loads(line) if line[0] == "{" else {"event": line}
                self.events.append(event)
                self._child = event.get("child", self._child)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def said(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.events if entry["event"] == event]

    def wait_for(self, event: str, times: int = 1) -> dict[str, Any]:
        """The line of the log that says it for the n-th time."""
        with self._news:
            said = self._news.wait_for(
                lambda: len(self.said(event)) >= times or not self._reader.is_alive(),
                PATIENCE,
            )
            assert said, f"{event!r} was not said; but {self.events}"
        assert len(self.said(event)) >= times, self.events
        return self.said(event)[times - 1]

    def post(self, body: Any, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        return self.http.post("/invocations", content=content, headers=headers)

    def begin(self, body: Any) -> Future[httpx2.Response]:
        """Asked in the background; converting when this returns."""
        times = len(self.said("converting")) + 1
        answer = self._callers.submit(self.post, body)
        self.wait_for("converting", times)
        return answer

    def ask(self, body: Any) -> Future[httpx2.Response]:
        """Asked in the background."""
        return self._callers.submit(self.post, body)

    def conversions(self) -> int:
        """How many have ended well."""
        lines = self.http.get("/metrics").text.splitlines()
        ended = [line for line in lines if "stereospot_conversions_total{" in line]
        return sum(int(float(line.split()[-1])) for line in ended if '"ok"' in line)

    def kill_child(self) -> None:
        """As the kernel does when memory is short."""
        assert self._child is not None
        os.kill(self._child, signal.SIGKILL)

    def until(self, answered: Callable[[httpx2.Response], bool]) -> httpx2.Response:
        """The first answer to /ping that is such a one."""
        deadline = time.monotonic() + PATIENCE
        while not answered(answer := self.http.get("/ping")):
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.05)
        return answer

    def end(self) -> int:
        """What SIGTERM makes it exit with."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._callers.shutdown()
        self.http.close()
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive(), "somebody still holds the log"
        assert self.process.stderr is not None
        self.process.stderr.close()


@contextmanager
def serving(*, ready: bool = True, **environment: object) -> Iterator[Serving]:
    """A server with these variables, lower case, and no others of its kind."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OWN)}
    given = {name.upper(): str(value) for name, value in environment.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "inference", "serve"],
        env={**kept, "PORT": "0", **given},
        cwd=Path(__file__).parents[3],
        stderr=subprocess.PIPE,
        text=True,
    )
    server = Serving(process)
    try:
        if ready:
            server.wait_for("ready")
        yield server
    finally:
        server.close()


def body(source: Path, target: Path, **fields: object) -> dict[str, Any]:
    """The plain one of three fields, and more."""
    return {
        "input_uri": source.as_uri(),
        "output_uri": target.as_uri(),
        "mode": "sbs",
        **fields,
    }
