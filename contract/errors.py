"""Every way to fail, sorted by who must act. The codes are stable: people search them."""

from __future__ import annotations

from enum import StrEnum


class Blame(StrEnum):
    """Who must act, and so whether trying again can help."""

    USER = "user"
    """The person: fail now and say what to do."""
    OPERATOR = "operator"
    """Whoever runs the machine: fail now; *Retry* works once that is done."""
    TRANSIENT = "transient"
    """Nobody: try again after a pause."""
    OURS = "ours"
    """Us: try again, and log the traceback."""


class ErrorCode(StrEnum):
    EMPTY_FILE = "empty-file"
    NOT_A_VIDEO = "not-a-video"
    NO_VIDEO_STREAM = "no-video-stream"
    TRUNCATED = "truncated"
    UNSUPPORTED_VIDEO = "unsupported-video"
    TOO_LARGE = "too-large"
    SOURCE_MISSING = "source-missing"
    UPLOAD_INCOMPLETE = "upload-incomplete"
    UPLOAD_OVER = "upload-over"
    LINK_REFUSED = "link-refused"
    LINK_UNREACHABLE = "link-unreachable"
    PROMPT_REFUSED = "prompt-refused"
    OBJECT_MISSING = "object-missing"
    DISK_FULL = "disk-full"
    OUT_OF_MEMORY = "out-of-memory"
    STORAGE = "storage"
    LEASE_EXPIRED = "lease-expired"
    UNREADABLE_SEGMENT = "unreadable-segment"
    OUTPUT_INVALID = "output-invalid"
    WEIGHTS_FORBIDDEN = "weights-forbidden"
    WEIGHTS_UNREACHABLE = "weights-unreachable"
    WEIGHTS_CORRUPT = "weights-corrupt"
    DEPTH_UNUSABLE = "depth-unusable"
    MISCONFIGURED = "misconfigured"
    BAD_REQUEST = "bad-request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN_URI = "forbidden-uri"
    TOO_MANY_FILMS = "too-many-films"
    MINUTES_USED_UP = "minutes-used-up"
    TOO_MANY_REQUESTS = "too-many-requests"
    UNAUTHENTICATED = "unauthenticated"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    INVALID_INPUT = "invalid-input"
    WRONG_STATE = "wrong-state"
    BUSY = "busy"
    STOPPING = "stopping"
    CRASHED = "crashed"
    INTERNAL = "internal"

    @property
    def blame(self) -> Blame:
        return _BLAME.get(self, Blame.OURS)


_BLAME = {
    ErrorCode.EMPTY_FILE: Blame.USER,
    ErrorCode.NOT_A_VIDEO: Blame.USER,
    ErrorCode.NO_VIDEO_STREAM: Blame.USER,
    ErrorCode.TRUNCATED: Blame.USER,
    ErrorCode.UNSUPPORTED_VIDEO: Blame.USER,
    ErrorCode.TOO_LARGE: Blame.USER,
    ErrorCode.SOURCE_MISSING: Blame.USER,
    ErrorCode.UPLOAD_INCOMPLETE: Blame.USER,
    ErrorCode.UPLOAD_OVER: Blame.USER,
    ErrorCode.LINK_REFUSED: Blame.USER,
    ErrorCode.LINK_UNREACHABLE: Blame.TRANSIENT,
    ErrorCode.PROMPT_REFUSED: Blame.USER,
    ErrorCode.DEPTH_UNUSABLE: Blame.USER,
    ErrorCode.TOO_MANY_FILMS: Blame.USER,
    ErrorCode.MINUTES_USED_UP: Blame.USER,
    ErrorCode.TOO_MANY_REQUESTS: Blame.USER,
    ErrorCode.UNAUTHENTICATED: Blame.USER,
    ErrorCode.NOT_FOUND: Blame.USER,
    ErrorCode.METHOD_NOT_ALLOWED: Blame.USER,
    ErrorCode.INVALID_INPUT: Blame.USER,
    ErrorCode.WRONG_STATE: Blame.USER,
    ErrorCode.DISK_FULL: Blame.OPERATOR,
    ErrorCode.MISCONFIGURED: Blame.OPERATOR,
    ErrorCode.WEIGHTS_FORBIDDEN: Blame.OPERATOR,
    ErrorCode.WEIGHTS_CORRUPT: Blame.OPERATOR,
    ErrorCode.BAD_REQUEST: Blame.OPERATOR,
    ErrorCode.UNAUTHORIZED: Blame.OPERATOR,
    ErrorCode.FORBIDDEN_URI: Blame.OPERATOR,
    ErrorCode.BUSY: Blame.TRANSIENT,
    ErrorCode.STOPPING: Blame.TRANSIENT,
    ErrorCode.CRASHED: Blame.TRANSIENT,
    ErrorCode.WEIGHTS_UNREACHABLE: Blame.TRANSIENT,
    ErrorCode.OUT_OF_MEMORY: Blame.TRANSIENT,
    ErrorCode.STORAGE: Blame.TRANSIENT,
    ErrorCode.LEASE_EXPIRED: Blame.TRANSIENT,
}


class StereoSpotError(Exception):
    """A failure with a stable code; the message is one sentence for people."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message
