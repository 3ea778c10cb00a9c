"""Where questions wait for the one process that makes previews."""

from __future__ import annotations

import importlib.util
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import BoundedSemaphore, Lock
from typing import Any

from apps.pipeline.previews.child import IDLE, serve
from apps.pipeline.previews.questions import Question
from contract.errors import ErrorCode, StereoSpotError

MOST_ASKING = 4
"""Questions under way and waiting; the next is refused, not kept waiting."""
PATIENCE = 60.0
"""Seconds for one answer, the start of the process included."""


class BusyError(Exception):
    """Too many ask at once: ask again in a second."""


def are_possible() -> bool:
    """Whether torch is installed here; a site beside a GPU elsewhere may do without it."""
    return importlib.util.find_spec("torch") is not None


class Desk:
    """`idle`: seconds without a question after which the process ends."""

    def __init__(self, *, idle: float = IDLE) -> None:
        self._idle = idle
        self._seats = BoundedSemaphore(MOST_ASKING)
        self._turn = Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection[Any, Any] | None = None

    @contextmanager
    def seat(self) -> Iterator[None]:
        """For one question and what comes before it; raises `BusyError`."""
        if not self._seats.acquire(blocking=False):
            raise BusyError
        try:
            yield
        finally:
            self._seats.release()

    def picture(self, question: Question) -> bytes | None:
        """A JPEG of the frame in 3D; None when the frame has to be shown (again).

        Raises StereoSpotError for a frame that cannot be had in 3D.
        """
        with self._turn:
            return self._asked(question)

    def close(self) -> None:
        """End the process, if there is one."""
        with self._turn:
            self._end()

    def _asked(self, question: Question) -> bytes | None:
        for _ in range(2):
            pipe = self._child()
            try:
                pipe.send(question)
                if pipe.poll(PATIENCE):
                    return _opened(pipe.recv())
                self._end()
                raise _lost("The preview took too long: choose another moment.")
            except (BrokenPipeError, ConnectionResetError, EOFError):
                # It had just ended, for nobody had asked; or this question ends it.
                self._end()
        raise _lost("The preview failed for a reason of ours.")

    def _child(self) -> Connection[Any, Any]:
        if self._pipe is None or self._process is None or not self._process.is_alive():
            self._end()
            # Spawned: a fork would take the site's threads' locks along.
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(
                target=serve, args=(theirs, self._idle), daemon=True
            )
            self._process.start()
            # It ends by itself when this process is gone, and nobody else holds its end.
            theirs.close()
        return self._pipe

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._pipe = self._process = None


def _opened(answer: bytes | StereoSpotError | None) -> bytes | None:
    if isinstance(answer, StereoSpotError):
        raise answer
    return answer


def _lost(message: str) -> StereoSpotError:
    return StereoSpotError(ErrorCode.INTERNAL, message)
