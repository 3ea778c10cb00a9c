"""A real Flower, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2

from stereospot.embedded import free_port
from tests.workers.harness import ROOT, until

LOGIN = ("somebody", "secret")


class Flower:
    """`celery -A stereospot.flower flower`, which hears what is told in that database."""

    def __init__(self, folder: Path, database: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/flower"
        self.output = folder / "flower.out"
        command = [sys.executable, "-m", "celery", "-A", "stereospot.flower", "flower"]
        command += ["--address=127.0.0.1", f"--port={self.port}"]
        own = {"FLOWER_BASIC_AUTH": ":".join(LOGIN), "MONITOR_DATABASE_URL": database}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | own,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.client = httpx2.Client(auth=LOGIN, timeout=10)
        until(self._listens, 60)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        try:
            return self.client.get(f"{self.url}/healthcheck").is_success
        except httpx2.TransportError:
            return False

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(f"{self.url}{path}", params=query)
        assert answer.is_success, (answer.status_code, answer.text)
        return answer.json()

    def post(self, path: str, **query: Any) -> httpx2.Response:
        return self.client.post(f"{self.url}{path}", params=query)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """By their first argument, which is a name in these tests."""
        found = self.get("/api/tasks", limit=1000)
        named = [task for task in found.values() if task["args"]]
        return {task["args"].split("'")[1]: task for task in named}

    def states(self, *names: str) -> list[str]:
        tasks = self.tasks()
        return [tasks[name]["state"] if name in tasks else "" for name in names]

    def state(self, task: str) -> str:
        """Of a task by its id; empty when it has not heard of it."""
        found = self.get("/api/tasks", limit=1000)
        return str(found[task]["state"]) if task in found else ""

    def online(self) -> set[str]:
        """Workers that it takes for alive."""
        rows = self.get("/workers", json="1")["data"]
        return {row["hostname"] for row in rows if row["status"]}

    def stop(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(20)
