"""The child that converts, seen from the server: started, watched, and started again."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import tempfile
from multiprocessing.context import SpawnProcess
from pathlib import Path

import structlog

from contract.errors import ErrorCode, StereoSpotError
from contract.invocation import Failed
from inference.service import child
from inference.service.messages import (
    Answer,
    Asked,
    Cancel,
    Done,
    Memory,
    Ready,
    Report,
    Task,
)
from inference.service.metrics import Metrics
from inference.service.objects import leftover
from inference.service.places import Places
from inference.service.settings import Settings

log = structlog.get_logger(__name__)

CANCEL_SECONDS = 10.0
"""For a conversion to hear that it is cancelled; then its process is killed."""
LONGEST_PAUSE_SECONDS = 60.0
"""Between two starts of a child that dies again and again."""


class Worker:
    """One conversion at a time. Everything but `make` is for whoever owns it."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._child: _Child | None = None
        self._is_ready = False
        self._trouble: Failed | None = None
        self._deaths = 0
        """Since the last conversion that succeeded."""
        self._answer: asyncio.Future[Answer] | None = None
        self._news = asyncio.Event()
        self.cancel_seconds = CANCEL_SECONDS

    @property
    def trouble(self) -> Failed | None:
        """Why nothing can be converted now; None when it can."""
        if self._is_ready:
            return None
        return self._trouble or Failed(code=ErrorCode.BUSY, message=self._loading())

    async def run(self) -> None:
        """Keep a child alive until cancelled."""
        try:
            while True:
                self._child = _Child(self._settings)
                await self._serve(self._child)
                await asyncio.sleep(self._pause())
        finally:
            if self._child is not None:
                self._child.kill()
                await self._child.exit_code()

    async def make(self, asked: Asked, places: Places) -> Done:
        """Convert or generate, and write the result to its place.

        StereoSpotError for what the child answers, CRASHED when it died. When this is
        cancelled, so is the conversion.
        """
        await self._until_ready()
        with tempfile.TemporaryDirectory(
            prefix="stereospot-", ignore_cleanup_errors=True
        ) as folder:
            try:
                answer = await self._ask(Task(asked, places, Path(folder)))
            except asyncio.CancelledError:
                self._metrics.failed(asked, ErrorCode.STOPPING)
                raise
        if isinstance(answer.result, Failed):
            self._metrics.failed(asked, answer.result.code)
            raise StereoSpotError(answer.result.code, answer.result.message)
        self._metrics.completed(answer.result, answer.pixels)
        self._deaths = 0
        return answer.result

    async def _until_ready(self) -> None:
        while not self._is_ready:
            if self._trouble is not None:
                code = self._trouble.code
                # Who only waits for the next child has crashed nothing.
                busy = code is ErrorCode.CRASHED
                raise StereoSpotError(
                    ErrorCode.BUSY if busy else code, self._trouble.message
                )
            await self._news.wait()

    async def _ask(self, task: Task) -> Answer:
        if self._child is None or self._answer is not None:
            raise RuntimeError("one conversion at a time, and only with a child")
        answer: asyncio.Future[Answer]
        answer = self._answer = asyncio.get_running_loop().create_future()
        try:
            if not self._child.send(task):
                message = "The process that converts has died, and is started again."
                raise StereoSpotError(ErrorCode.BUSY, message)
            await asyncio.wait({answer})
            return answer.result()
        except asyncio.CancelledError:
            self._child.send(Cancel())
            await asyncio.wait({answer}, timeout=self.cancel_seconds)
            if not answer.done():
                log.warning("killing a conversion that does not hear its cancellation")
                self._child.kill()
                await asyncio.wait({answer})
            if not isinstance(answer.result().result, Failed):
                return answer.result()  # it was done before it heard
            raise
        finally:
            self._answer = None
            if (left := leftover(task.places.target)) is not None:
                left.unlink(missing_ok=True)

    async def _serve(self, running: _Child) -> None:
        """Hear what a child says until it is dead."""
        while (report := await running.reports.get()) is not None:
            match report:
                case Ready():
                    self._become(is_ready=True, trouble=None)
                    log.info("ready", child=running.pid)
                case Memory():
                    self._metrics.remember(report)
                case Answer() if self._answer is not None:
                    self._answer.set_result(report)
                    if _is_last(report):
                        self._become(is_ready=False, trouble=None)
                case Answer(result=Failed() as why):
                    self._become(is_ready=False, trouble=why)
                    log.error("not ready", code=why.code.value, reason=why.message)
        # Nobody may ask it any more, or would be told that his segment killed it.
        self._become(is_ready=False, trouble=self._trouble)
        self._buried(await running.exit_code(), was_killed=running.was_killed)

    def _buried(self, exit_code: int, *, was_killed: bool) -> None:
        is_asked = self._answer is not None and not self._answer.done()
        trouble = self._trouble
        if not was_killed:
            self._deaths += 1
        if is_asked or exit_code != 0:  # otherwise it had said why it goes
            crash = Failed(code=ErrorCode.CRASHED, message=_told(exit_code))
            if self._answer is not None and is_asked:
                self._answer.set_result(Answer(crash))
            if not was_killed:
                self._metrics.crashed()
                log.error("child died", exit_code=exit_code, deaths=self._deaths)
                # Once is bad luck: what waits is converted by the next child.
                trouble = crash if self._deaths > 1 else None
        self._become(is_ready=False, trouble=trouble)

    def _become(self, *, is_ready: bool, trouble: Failed | None) -> None:
        self._is_ready, self._trouble = is_ready, trouble
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _pause(self) -> float:
        if self._deaths <= 1:
            return 0.0
        return min(2.0 ** (self._deaths - 2), LONGEST_PAUSE_SECONDS)

    def _loading(self) -> str:
        names = ", ".join(self._settings.inference_engines)
        return f"The server is loading {names or 'its libraries'}."


class _Child:
    """A process, and the way to it and back."""

    def __init__(self, settings: Settings) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=child.main, args=(theirs, settings), name="convert", daemon=True
        )
        self._process.start()
        theirs.close()  # so that its death is the end of what can be read
        self.was_killed = False
        self.reports: asyncio.Queue[Report | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._connection.fileno(), self._hear)

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def send(self, message: Task | Cancel) -> bool:
        """False when it is dead, which `reports` will say."""
        try:
            self._connection.send(message)
        except OSError:
            log.warning("the child does not listen")
            return False
        return True

    def _hear(self) -> None:
        try:
            while self._connection.poll():
                self.reports.put_nowait(self._connection.recv())
        except (EOFError, OSError):
            self._loop.remove_reader(self._connection.fileno())
            self._connection.close()
            self.reports.put_nowait(None)

    async def exit_code(self) -> int:
        """Once it said its last."""
        await asyncio.to_thread(self._process.join)
        return self._process.exitcode or 0

    def kill(self) -> None:
        self.was_killed = True
        self._process.kill()


def _is_last(answer: Answer) -> bool:
    """The child ends itself after it; see `child.main`."""
    result = answer.result
    return isinstance(result, Failed) and result.code is ErrorCode.INTERNAL


def _told(exit_code: int) -> str:
    if exit_code == -signal.SIGKILL:
        return (
            "The process that converts was killed, most likely because this machine "
            "ran out of memory."
        )
    return f"The process that converts died (exit code {exit_code})."
