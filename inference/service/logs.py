"""What the server logs, and its child alike."""

from __future__ import annotations

from typing import Any

from contract import logs
from inference.service.messages import Asked
from inference.service.places import job_of, segment_of

QUIET = ("botocore", "boto3", "s3transfer", "urllib3", "asyncio", "uvicorn")
"""They log a line for each request."""


def configure(level: str) -> None:
    """Call once in each process."""
    logs.configure(logs.logging_config(level, quiet=QUIET))


def context(asked: Asked) -> dict[str, Any]:
    """What every line about an invocation says."""
    said: dict[str, Any] = {
        "attempt": asked.attempt,
        "engine": asked.maker,
        "digest": asked.digest[:12],
    }
    if segment := segment_of(asked.output_uri):
        said |= {"job_id": str(segment.job_id), "segment_index": segment.index}
    elif job_id := job_of(asked.output_uri):
        said["job_id"] = str(job_id)
    return said
