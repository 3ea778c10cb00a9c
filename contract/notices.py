"""What people and their programs are told when a job is over."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contract.errors import Blame, ErrorCode
from contract.modes import Engine, Mode, Payload


class NoticeKind(StrEnum):
    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"
    DELETED = "job.deleted"


class Failure(Payload):
    """Why a job failed."""

    code: ErrorCode
    message: str
    """One sentence for people."""
    who_must_act: Blame


class JobFacts(Payload):
    """The job as it was when it ended."""

    id: UUID
    title: str
    mode: Mode
    engine: Engine
    error: Failure | None = None


class Announcement(Payload):
    """The body of a webhook, as Standard Webhooks wants it; also what mail is made of."""

    type: NoticeKind
    timestamp: datetime
    """When the job ended, not when this was sent."""
    data: JobFacts
