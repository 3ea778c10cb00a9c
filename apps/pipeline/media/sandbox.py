"""Running a function on hostile media in a process that can be lost.

Decoders and demuxers parse what strangers upload. In a process of their own they cannot
take more memory, time or disk than given, and a crash ends one job instead of a worker.
A daemonic worker may not have multiprocessing's children, so this is a plain command:

    python -m apps.pipeline.media.sandboxed

The function is named, its arguments and results are JSON of the types in its signature:
unpickling what a captured process says would let it out again. Results of a function
that yields are fetched one by one; nothing runs ahead and fills the disk. What is done
to one film may share a process, whose start takes longer than most of it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from select import POLLIN, poll
from time import monotonic
from typing import IO, Final, TypeVar, TypeVarTuple

from pydantic import JsonValue, PositiveInt

from apps.pipeline.media.sandboxed import NEXT, Answer, Request, Signature
from contract.errors import ErrorCode, StereoSpotError
from contract.modes import Payload

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

_KEPT: Final = ("PATH", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
"""Variables of the environment that a sandboxed process is given."""
_TOLD: Final = 4000
"""Last bytes of a lost process's complaints to keep, for the log."""
_LOOK: Final = 0.2
"""Seconds between two looks at whether the caller still wants the answer."""
_LAST_WORDS: Final = 10.0
"""Seconds that a process may take to end after its last answer."""
_LONGEST: Final = 64 << 20
"""Bytes of one answer; a manifest of a day of film has less."""


class Allowance(Payload):
    """What one sandboxed function may use."""

    memory: PositiveInt = 6 << 30
    """Bytes of address space, which is more than what is used: libraries, threads."""
    seconds: PositiveInt = 600
    """Wall time for each result."""
    file_size: PositiveInt = 256 << 30
    """Bytes of any file it writes."""


def _go_on() -> None:
    """Nobody stops it."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Runs functions, each in a process of its own, or several in one that is `opened`.

    A function is one that a module defines at its top, with a typed signature.
    """

    allowance: Allowance
    check: Callable[[], None] = _go_on
    """Called several times a second; what it raises ends the process and is raised."""

    def call(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """What it returns; raises StereoSpotError: its own, or one about its end."""
        with self.opened() as process:
            return process.call(function, *args)

    def iterate(
        self, function: Callable[[*Ts], Iterator[T]], *args: *Ts
    ) -> Generator[T]:
        """Yield what it yields, each made only when it is asked for."""
        with self.opened() as process:
            yield from process.iterate(function, *args)

    @contextmanager
    def opened(self) -> Iterator[Process]:
        """A process for one function after another, until an error is raised.

        All of them together have as much processor time as one.
        """
        with tempfile.TemporaryFile() as complaints:
            child = _Child(self, complaints)
            try:
                yield Process(child)
            finally:
                child.end()


class Process:
    """A sandboxed process, for functions that work on the same film."""

    def __init__(self, child: _Child) -> None:
        self._child = child

    def call(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """See `Sandbox`."""
        answers: Generator[T] = self._answers(function, args)
        with closing(answers):
            return next(answers)

    def iterate(
        self, function: Callable[[*Ts], Iterator[T]], *args: *Ts
    ) -> Generator[T]:
        """See `Sandbox`. What is not fetched when the next function begins is not made."""
        answers: Generator[T] = self._answers(function, args)
        with closing(answers):
            yield from answers

    def _answers(
        self, function: Callable[..., object], args: tuple[object, ...]
    ) -> Generator[T]:
        signature = Signature.of(function)
        name = f"{function.__module__}:{function.__qualname__}"
        self._child.begin(name, signature.dump_arguments(args))
        while (answer := self._child.ask()).is_result:
            result: T = signature.load_result(answer.result)
            yield result
            if not signature.yields:
                return


class _Child:
    """The process, seen from outside."""

    def __init__(self, sandbox: Sandbox, complaints: IO[bytes]) -> None:
        self._allowance = sandbox.allowance
        self._seconds = sandbox.allowance.seconds
        self._check = sandbox.check
        self._complaints = complaints
        self._is_late = False
        self._unread = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "apps.pipeline.media.sandboxed"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A file never fills up and blocks, as a pipe that nobody reads would.
            stderr=complaints,
            env=_environment(),
            # A group of its own: what it has started ends with it.
            start_new_session=True,
        )

    def begin(self, function: str, arguments: list[JsonValue]) -> None:
        """Have it ready to answer for another function."""
        request = Request(
            function=function,
            arguments=arguments,
            memory=self._allowance.memory,
            # In case this process is killed and nobody is left to look at the clock.
            processor_seconds=self._seconds * (os.cpu_count() or 1),
            file_size=self._allowance.file_size,
        )
        self._say(request.model_dump_json().encode())

    def ask(self) -> Answer:
        """The next answer that is no error; raises StereoSpotError for one that is."""
        self._say(NEXT)
        line = self._line()
        if line is None:
            raise self._lost()
        answer = Answer.model_validate_json(line)
        if answer.code is not None:
            raise StereoSpotError(answer.code, answer.message)
        return answer

    def end(self) -> None:
        self._kill()
        # Closes the pipes, too.
        self._process.communicate()

    def _say(self, line: bytes) -> None:
        if self._process.stdin is None:
            return
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            # It has ended; reading its answer tells how.
            return

    def _line(self) -> bytes | None:
        """The next whole line; None when the process was lost before it."""
        deadline = monotonic() + self._seconds
        pieces, length = [self._unread], 0
        while b"\n" not in pieces[-1]:
            self._check()
            self._is_late = monotonic() > deadline
            if self._is_late or length > _LONGEST:
                self._kill()
                return None
            if (more := self._read()) is None:
                continue
            if not more:
                return None
            pieces.append(more)
            length += len(more)
        line, _, self._unread = b"".join(pieces).partition(b"\n")
        return line

    def _read(self) -> bytes | None:
        """What it has said; nothing at its end, None when it is silent for a while."""
        assert self._process.stdout is not None  # noqa: S101 (it was opened as a pipe)
        answers = self._process.stdout.fileno()
        silence = poll()  # select knows no file numbers beyond 1024
        silence.register(answers, POLLIN)
        return os.read(answers, 1 << 20) if silence.poll(1000 * _LOOK) else None

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _lost(self) -> StereoSpotError:
        try:
            status = self._process.wait(_LAST_WORDS)
        except subprocess.TimeoutExpired:  # it has hung up, but lives
            self._kill()
            status = self._process.wait()
        if self._is_late or status == -signal.SIGXCPU:
            error = StereoSpotError(
                ErrorCode.TOO_LARGE,
                f"Reading this film took longer than {self._seconds} s: "
                "upload it in parts or in a smaller size.",
            )
        elif status == -signal.SIGKILL:
            error = _too_much_memory()
        elif status < 0:
            error = StereoSpotError(
                ErrorCode.UNSUPPORTED_VIDEO,
                "This film is damaged in a way that stops our decoder: "
                "export it again and upload that.",
            )
        else:
            error = StereoSpotError(
                ErrorCode.INTERNAL, "Reading this film failed for a reason of ours."
            )
        self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, self._complaints.tell() - _TOLD))
        error.add_note(self._complaints.read().decode(errors="replace"))
        return error


def _environment() -> dict[str, str]:
    """What the child needs to start: not the secrets that this process has."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def _too_much_memory() -> StereoSpotError:
    return StereoSpotError(
        ErrorCode.TOO_LARGE,
        "Reading this film took more memory than we allow: "
        "upload it in a smaller size.",
    )
