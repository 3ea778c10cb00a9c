"""What the server logs, and its child alike."""

from __future__ import annotations

from typing import Any

from contract import logs
from contract.invocation import Invocation
from inference.service.places import segment_of

QUIET = ("botocore", "boto3", "s3transfer", "urllib3", "asyncio", "uvicorn")
"""They log a line for each request."""


def configure(level: str) -> None:
    """Call once in each process."""
    logs.configure(logs.logging_config(level, quiet=QUIET))


def context(invocation: Invocation) -> dict[str, Any]:
    """What every line about an invocation says."""
    said: dict[str, Any] = {
        "attempt": invocation.attempt,
        "engine": invocation.engine.value,
        "digest": invocation.digest[:12],
    }
    if segment := segment_of(invocation.output_uri):
        said |= {"job_id": str(segment.job_id), "segment_index": segment.index}
    return said
