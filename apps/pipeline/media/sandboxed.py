"""Inside the sandbox: limits first, then the function, then an answer for each request.

Reads a Request from standard input and then a line for each result that is wanted, and
so on with the next Request; writes an Answer for each result to standard output.
"""

from __future__ import annotations

import errno
import importlib
import os
import resource
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, get_args, get_origin, get_type_hints

from pydantic import JsonValue, PositiveInt, TypeAdapter

from apps.pipeline.media.tools import die_with_parent
from contract.errors import ErrorCode, StereoSpotError
from contract.modes import Payload

NEXT: Final = b"next"
_GRACE: Final = 5
"""Seconds of processor time between the signal that tells why and the kill."""
"""What the outside says when it wants a result."""


class Request(Payload):
    """What to call, and within which limits."""

    function: str
    """Module and name, with a colon between."""
    arguments: list[JsonValue]
    memory: PositiveInt
    """Bytes of address space."""
    processor_seconds: PositiveInt
    file_size: PositiveInt
    """Bytes of any one file."""


class Answer(Payload):
    """A result, the end of results, or an error."""

    is_result: bool = False
    result: JsonValue = None
    code: ErrorCode | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """The types by which a function's arguments and results cross as JSON."""

    arguments: tuple[TypeAdapter[Any], ...]
    result: TypeAdapter[Any]
    yields: bool

    @classmethod
    def of(cls, function: Callable[..., object]) -> Signature:
        """Read a function's annotations."""
        hints = get_type_hints(function)
        returned = hints.pop("return")
        yields = get_origin(returned) in (Iterator, Iterable)
        return cls(
            arguments=tuple(TypeAdapter(hint) for hint in hints.values()),
            result=TypeAdapter(get_args(returned)[0] if yields else returned),
            yields=yields,
        )

    def dump_arguments(self, args: Iterable[object]) -> list[JsonValue]:
        return [
            adapter.dump_python(arg, mode="json")
            for adapter, arg in zip(self.arguments, args, strict=True)
        ]

    def load_arguments(self, values: list[JsonValue]) -> list[Any]:
        return [
            adapter.validate_python(value)
            for adapter, value in zip(self.arguments, values, strict=True)
        ]

    def load_result(self, value: JsonValue) -> Any:
        return self.result.validate_python(value)


def main() -> None:
    """Answer one request."""
    # Whatever a library prints must not end up among the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Nobody would look at the clock any more if the worker were killed.
    die_with_parent()
    try:
        _answer_requests(sys.stdin.buffer, answers)
    except StereoSpotError as error:
        _write(answers, Answer(code=error.code, message=error.message))
    except MemoryError:
        _write(answers, _refusal("more memory"))
    except OSError as error:
        _write(answers, _answer_for(error))


def _limit(request: Request) -> None:
    for name, value in (
        (resource.RLIMIT_AS, request.memory),
        (resource.RLIMIT_CPU, request.processor_seconds),
        (resource.RLIMIT_FSIZE, request.file_size),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(name)
        # Of processor time the soft limit is told apart, by its signal, from a kill.
        hard = value + _GRACE if name == resource.RLIMIT_CPU else value
        if most != resource.RLIM_INFINITY:
            value, hard = min(value, most), min(hard, most)
        resource.setrlimit(name, (value, hard))


def _answer_requests(lines: Iterable[bytes], answers: IO[bytes]) -> None:
    signature: Signature | None = None
    results: Iterator[Any] = iter(())
    for line in lines:
        if line.strip() != NEXT:
            request = Request.model_validate_json(line)
            _limit(request)
            signature, results = _begun(request)
            continue
        assert signature is not None  # noqa: S101 (a request comes first)
        for result in results:
            value = signature.result.dump_python(result, mode="json")
            _write(answers, Answer(is_result=True, result=value))
            break
        else:
            _write(answers, Answer())


def _begun(request: Request) -> tuple[Signature, Iterator[Any]]:
    """What the function's results are like, and they themselves."""
    module, name = request.function.split(":")
    function = getattr(importlib.import_module(module), name)
    signature = Signature.of(function)
    returned = function(*signature.load_arguments(request.arguments))
    return signature, iter(returned if signature.yields else [returned])


def _answer_for(error: OSError) -> Answer:
    if error.errno == errno.EFBIG:
        return _refusal("more disk")
    if error.errno == errno.ENOSPC:
        return Answer(
            code=ErrorCode.DISK_FULL,
            message="The disk is full: free some space and retry.",
        )
    raise error


def _refusal(what: str) -> Answer:
    return Answer(
        code=ErrorCode.TOO_LARGE,
        message=f"Reading this film took {what} than we allow: "
        "upload it in parts or in a smaller size.",
    )


def _write(answers: IO[bytes], answer: Answer) -> None:
    answers.write(answer.model_dump_json().encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
