"""Memory that ran out: of a card or of the machine, by whatever name it comes.

No torch is loaded here: a worker that has none asks too.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from contract.errors import ErrorCode, StereoSpotError

SIGNS = (
    "out of memory",  # CUDA's runtime and driver, Apple's
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "CUFFT_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "ALLOCATION_FAILED",  # cuDNN 9, of the device or the host
    "can't allocate memory",  # torch's allocator on the CPU
    "not enough memory",  # the same, on Windows
)
"""What errors say that are of no kind of their own: torch raises them as RuntimeError,
or as its subclass for what a card reports late."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it would not have happened with more memory.

    Libraries that load weights raise errors of their own over the real one, so what an
    error came from counts too. Errors that have a sentence already keep it.
    """
    if isinstance(error, StereoSpotError):
        return False
    return any(map(_is_out_of_memory, _chain(error)))


@contextlib.contextmanager
def enough_for(sentence: str) -> Iterator[None]:
    """StereoSpotError(OUT_OF_MEMORY) with this sentence where memory runs out."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise StereoSpotError(ErrorCode.OUT_OF_MEMORY, sentence) from error


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if not isinstance(error, RuntimeError):
        return False
    # torch.OutOfMemoryError is raised without a text by some.
    return type(error).__name__ == "OutOfMemoryError" or any(
        sign in str(error) for sign in SIGNS
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it came from."""
    seen: set[int] = set()
    last: BaseException | None = error
    while last is not None and id(last) not in seen:
        yield last
        seen.add(id(last))
        hidden = last.__suppress_context__
        last = last.__cause__ or (None if hidden else last.__context__)
