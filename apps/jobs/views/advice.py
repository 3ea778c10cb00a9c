"""What a person can do about a job that failed, on its page."""

from __future__ import annotations

from typing import NamedTuple, Self

from apps.jobs.models import Job
from contract.errors import Blame, ErrorCode

_BY_BLAME = {
    Blame.USER: "Trying again will not help with this file: convert another one.",
    Blame.OPERATOR: "Whoever runs StereoSpot must act first. Then retry: "
    "what is done is kept.",
    Blame.TRANSIENT: "Retry: what is done is kept, only the rest is converted again.",
    Blame.OURS: "Retry: what is done is kept. If it fails again, report the code below.",
}
_BY_CODE = {
    ErrorCode.MINUTES_USED_UP: "Retry then: nothing has to be uploaded again.",
    ErrorCode.TOO_MANY_FILMS: "Then retry: nothing has to be uploaded again.",
    ErrorCode.SOURCE_MISSING: "Upload it in a new job.",
    ErrorCode.UPLOAD_INCOMPLETE: "Upload it in a new job.",
    ErrorCode.UPLOAD_OVER: "Upload it in a new job.",
    ErrorCode.LINK_REFUSED: "Give another address, or upload the film.",
    ErrorCode.DEPTH_UNUSABLE: "Convert the film anew, "
    "with another depth video or none.",
}
_HELPED_BY_TIME = (ErrorCode.MINUTES_USED_UP, ErrorCode.TOO_MANY_FILMS)
"""The person's to act on, and yet nothing is wrong with the film."""


class Advice(NamedTuple):
    sentence: str
    may_retry: bool
    """Whether *Retry* can help, so that the page offers it."""

    @classmethod
    def on(cls, job: Job) -> Self | None:
        """None for a job that has not failed."""
        if job.status != Job.Status.FAILED:
            return None
        code = ErrorCode(job.error_code)
        if code is ErrorCode.SOURCE_MISSING and job.origin is not None:
            return cls("Retry: the film is fetched again.", may_retry=True)
        return cls(
            _BY_CODE.get(code, _BY_BLAME[code.blame]),
            may_retry=code.blame is not Blame.USER or code in _HELPED_BY_TIME,
        )
