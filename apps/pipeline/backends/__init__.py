"""Where segments are converted and clips made: here, by a server, or by an endpoint.

Each backend makes the object of what was claimed. Nobody above asks which of them it is.
"""

from __future__ import annotations

import functools

from django.conf import settings

from apps.pipeline.backends.base import Backend, Done, PausedError
from apps.pipeline.backends.claims import Claimed, ClipClaim, SegmentClaim

__all__ = [
    "Backend",
    "Claimed",
    "ClipClaim",
    "Done",
    "PausedError",
    "SegmentClaim",
    "backend",
]


@functools.cache
def backend() -> Backend:
    """The one that the environment names; nothing of the others is loaded."""
    match settings.INFERENCE_BACKEND:
        case "http":
            from apps.pipeline.backends.http import Http

            return Http(settings.INFERENCE_HTTP_URL, settings.INFERENCE_TOKEN)
        case "sagemaker":
            from apps.pipeline.backends.sagemaker import endpoint

            return endpoint()
        case _:
            from apps.pipeline.backends.local import Local

            return Local()
