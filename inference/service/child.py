"""The process that converts: it holds the pipelines, the card, and a stranger's film.

Whatever happens to it, the server lives to say so. Here is the edge where exceptions
become answers. torch is imported here only.
"""

from __future__ import annotations

import errno
import os
import queue
import shutil
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import structlog
from structlog.contextvars import bound_contextvars

from contract.errors import Blame, ErrorCode, StereoSpotError
from contract.generation import MAKER, Generation
from contract.invocation import Failed, Invocation
from contract.modes import Engine
from inference.memory import is_out_of_memory
from inference.service import logs
from inference.service.messages import Answer, Cancel, Memory, Ready, Task
from inference.service.objects import Made, Objects
from inference.service.settings import Settings

if TYPE_CHECKING:
    from inference.generate import Clips
    from inference.pipeline import Rendering

log = structlog.get_logger(__name__)

MEMORY_SECONDS = 1.0
"""Between two reports of memory."""


class _CancelledError(Exception):
    """Nobody wants the result any more."""


def main(connection: Connection, settings: Settings) -> None:
    """Load, say so, and convert what comes, until the server is gone."""
    # Ctrl-C goes to the whole group, and the server alone decides what it means.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logs.configure(settings.log_level)
    inbox = _Inbox(connection)
    try:
        converter = _Converter(connection, inbox, settings)
    except Exception as error:  # noqa: BLE001 (the edge, see above)
        connection.send(Answer(_as_failure(error)))
        return
    connection.send(Ready())
    while True:
        task = inbox.tasks.get()
        with bound_contextvars(**logs.context(task.asked)):
            answer = converter.answer(task)
        connection.send(answer)
        result = answer.result
        if isinstance(result, Failed) and result.code is ErrorCode.INTERNAL:
            # Nobody knows what it left behind, on the card or here: begin afresh.
            return


class _Inbox:
    """Hears the server while the main thread converts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self.cancelled = threading.Event()
        self._folder: Path | None = None
        threading.Thread(target=self._listen, name="inbox", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                # The server is gone, with whoever waits and whoever would tidy up.
                if self._folder is not None:
                    shutil.rmtree(self._folder, ignore_errors=True)
                os._exit(0)
            if isinstance(message, Cancel):
                self.cancelled.set()
            else:
                self.cancelled.clear()
                self._folder = message.folder
                self.tasks.put(message)


class _Converter:
    def __init__(
        self, connection: Connection, inbox: _Inbox, settings: Settings
    ) -> None:
        from inference import process

        process.settle()
        self._connection = connection
        self._inbox = inbox
        self._objects = Objects(settings.aws_region)
        self._reported = 0.0
        for engine in settings.inference_engines:
            self._pipeline(engine)

    def answer(self, task: Task) -> Answer:
        from inference.process import give_back_memory

        try:
            match task.asked:
                case Invocation():
                    return self._converted(task.asked, task)
                case Generation():
                    return self._generated(task.asked, task)
        except _CancelledError:
            message = "The conversion was cancelled."
            return Answer(Failed(code=ErrorCode.STOPPING, message=message))
        except Exception as error:  # noqa: BLE001 (the edge, see above)
            return Answer(_as_failure(error))
        finally:
            give_back_memory()
            self._report_memory()

    def _converted(self, invocation: Invocation, task: Task) -> Answer:
        from inference.convert import convert
        from inference.service.plain import conversion_of

        places, objects = task.places, self._objects
        if places.source is None:
            raise ValueError("a conversion has a film")
        film = objects.fetch(places.source, task.folder, "film.mp4")
        depth = places.depth and objects.fetch(places.depth, task.folder, "depth.mp4")
        conversion = conversion_of(invocation, film)
        settings = conversion.settings
        pipeline = self._pipeline(
            conversion.engine,
            reference=settings.reference,
            depth=conversion.depth is None,
        )
        self._check()
        target = task.folder / "stereo.mp4"
        completed = convert(
            conversion,
            film,
            target,
            pipeline=pipeline,
            on_frames=self._on_frames,
            depth=depth or None,
        )
        self._check()
        objects.publish(target, places.target, Made(invocation.digest, completed))
        picture = conversion.picture
        pixels = picture.eye_width * picture.eye_height * completed.frames
        return Answer(completed, pixels)

    def _generated(self, wanted: Generation, task: Task) -> Answer:
        from inference.generate import generate

        places, objects = task.places, self._objects
        image = places.source and objects.fetch(places.source, task.folder, "image")
        clips = self._clips_ready()
        self._check()
        target = task.folder / "clip.mp4"
        generated = generate(
            wanted, target, clips=clips, image=image or None, on_step=self._on_frames
        )
        self._check()
        objects.publish(target, places.target, Made(wanted.digest, generated))
        return Answer(generated, wanted.width * wanted.height * generated.frames)

    def _clips_ready(self) -> Clips:
        """Loaded at the first call, kept for the next: see `clips`."""
        from inference.engines import clips
        from inference.heartbeat import heard

        with heard(self._check):
            ready = clips()
        log.info("engine ready", engine=MAKER, version=ready.version)
        return ready

    def _pipeline(
        self, engine: Engine, *, reference: bool = False, depth: bool = True
    ) -> Rendering:
        """Loaded at the first call, kept for the next: see `pipeline_for`."""
        from inference.engines import pipeline_for
        from inference.heartbeat import heard

        began = time.monotonic()
        with heard(self._check):  # a cancelled download is not waited for
            pipeline = pipeline_for(engine, reference=reference, depth=depth)
        log.info(
            "engine ready",
            engine=engine.value,
            version=pipeline.version,
            seconds=round(time.monotonic() - began, 1),
        )
        return pipeline

    def _on_frames(self, more: int) -> None:
        self._check()
        if time.monotonic() - self._reported > MEMORY_SECONDS:
            self._report_memory()

    def _check(self) -> None:
        if self._inbox.cancelled.is_set():
            raise _CancelledError

    def _report_memory(self) -> None:
        import torch

        self._reported = time.monotonic()
        self._connection.send(
            Memory(
                resident=psutil.Process().memory_info().rss,
                cuda=torch.cuda.memory_allocated(),
                cuda_peak=torch.cuda.max_memory_allocated(),
            )
        )


def _as_failure(error: Exception) -> Failed:
    if isinstance(error, StereoSpotError):
        failure = Failed(code=error.code, message=error.message)
    elif is_out_of_memory(error):
        message = "The inference server ran out of memory."
        failure = Failed(code=ErrorCode.OUT_OF_MEMORY, message=message)
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = "The disk of the inference server is full: free space there."
        failure = Failed(code=ErrorCode.DISK_FULL, message=message)
    else:
        message = (
            f"Something that we did not expect ({type(error).__name__}); "
            "it is in the inference server's log."
        )
        failure = Failed(code=ErrorCode.INTERNAL, message=message)
    if failure.code.blame is Blame.OURS:
        log.error("not expected", code=failure.code.value, exc_info=error)
    return failure
