from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest
import torch

from contract.errors import ErrorCode, StereoSpotError
from inference.memory import enough_for, is_out_of_memory

OUT_OF_MEMORY = [
    MemoryError(),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    torch.OutOfMemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.AcceleratorError("CUDA error: out of memory", 2),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: repr(error)[:40])
def test_memory_that_ran_out_is_known_by_each_of_its_names(error):
    assert is_out_of_memory(error)


def test_the_machines_own_memory_counts_as_well():
    with pytest.raises(RuntimeError) as told:
        torch.empty(2**55)

    assert is_out_of_memory(told.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("size mismatch for conv_in.weight"),
        torch.AcceleratorError("CUDA error: an illegal memory access", 700),
        OSError(errno.ENOENT, "No such file: out of memory.safetensors"),
        ValueError("out of memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_other_errors_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)


def wrapped(*, says_its_cause: bool) -> OSError:
    """As diffusers does it: one error raised while another is handled."""
    cause, error = MemoryError(), OSError("Unable to load weights")
    error.__cause__ = cause if says_its_cause else None
    error.__context__ = cause
    error.__suppress_context__ = False
    return error


@pytest.mark.parametrize("says_its_cause", [True, False])
def test_an_error_over_it_does_not_hide_it(says_its_cause):
    assert is_out_of_memory(wrapped(says_its_cause=says_its_cause))


def test_memory_that_runs_out_is_said_in_the_sentence_given():
    with (
        pytest.raises(StereoSpotError, match="Too large") as told,
        enough_for("Too large."),
    ):
        raise MemoryError

    assert told.value.code is ErrorCode.OUT_OF_MEMORY


def test_what_has_a_sentence_keeps_it():
    told = StereoSpotError(ErrorCode.OUT_OF_MEMORY, "Even in the smallest tiles.")
    told.__cause__ = MemoryError()

    with pytest.raises(StereoSpotError, match="smallest"), enough_for("Too large."):
        raise told


def test_what_is_something_else_stays_what_it_is():
    with pytest.raises(KeyError), enough_for("Too large."):
        raise KeyError


def test_a_worker_without_torch_may_ask():
    code = (
        "import sys; from inference.memory import is_out_of_memory; "
        "print(is_out_of_memory(MemoryError()), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "True False\n"
