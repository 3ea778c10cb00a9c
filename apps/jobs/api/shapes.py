"""What is asked and answered, as types: the OpenAPI document is made of them.

Modes, engines, settings and failures are the contract's own.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from apps.jobs.models import Job, Segment, Upload
from apps.jobs.subscribing import LONGEST
from apps.jobs.views.progress import shown_state
from contract.errors import ErrorCode
from contract.generation import ClipWish
from contract.modes import (
    FLAT,
    Engine,
    Mode,
    Payload,
    StereoMode,
    StereoSettings,
    mode_of,
)
from contract.notices import Announcement, Failure
from contract.origins import LONGEST_URL, Prompt

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
"""PostgreSQL has no text with a null character in it."""


class State(StrEnum):
    """The states by which jobs are listed."""

    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BroughtFile(Payload):
    """A file that is about to be uploaded."""

    name: Annotated[Text, StringConstraints(min_length=1, max_length=255)]
    """On your disk; the extension says which container it is."""
    size: int = Field(ge=1, le=2**63 - 1)
    """Bytes."""


class NewJob(Payload):
    file: BroughtFile | None = None
    """What you are about to upload. This, or `link`, or `prompt`."""
    depth: BroughtFile | None = None
    """A depth video, in place of the engine's own estimate: the brighter the nearer."""
    link: Annotated[Text, StringConstraints(max_length=LONGEST_URL)] | None = None
    """Where the film is to be fetched from; `offers` says from which sites it may."""
    prompt: ClipWish | None = None
    """What the film is to be made of, where `offers` says that clips are made."""
    title: Annotated[Text, StringConstraints(max_length=200)] = ""
    """Empty: the file's name, what it is called where it is fetched from, or the prompt's
    first words."""
    mode: Mode = StereoMode.SBS
    """`flat` is for prompts: the clip is all that is wanted."""
    engine: Engine = Engine.PREVIEW
    settings: StereoSettings = StereoSettings()

    @model_validator(mode="after")
    def _comes_one_way(self) -> Self:
        ways = (self.file, self.link, self.prompt)
        if sum(way is not None for way in ways) != 1:
            raise ValueError("name a file, a link or a prompt: one of them")
        if self.file is None and self.depth is not None:
            raise ValueError("a depth video comes with a file, and with nothing else")
        if self.mode == FLAT and self.prompt is None:
            raise ValueError("only what is made of a prompt can be flat")
        return self

    @model_validator(mode="after")
    def _has_reference(self) -> Self:
        if self.settings.reference and not self.engine.has_reference:
            raise ValueError(f"no algorithm is published for the engine {self.engine}")
        return self


class JobSummary(Payload):
    """A job, as lists show it."""

    id: UUID
    title: str
    owner: str
    status: Job.Status
    mode: Mode
    engine: Engine
    settings: StereoSettings
    error: Failure | None
    """Why it failed, while it is failed."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job) -> JobSummary:
        return cls(**_facts(job))


class Step(Payload):
    name: str
    state: str
    """`done`, `current`, `stopped` or `todo`."""
    seconds: float | None
    """That it took, once it is done."""


class SegmentCounts(Payload):
    """How many segments there are, once the film is cut, by what is known of them."""

    total: int
    pending: int
    running: int
    done: int
    failed: int


class JobDetail(JobSummary):
    """Everything about a job but its events."""

    prompt: Prompt | None
    """What the film is made of, with the seed, size and length that this came to."""
    sentence: str
    """What happens at the moment, for people."""
    steps: list[Step]
    segments: SegmentCounts
    seconds_left: float | None
    """Until the segments are converted, where that can be said."""
    page: str
    """Address of the job's page."""


class UploadState(Payload):
    """A file on its way."""

    kind: Upload.Kind
    size: int
    """Bytes."""
    part_bytes: int
    """Of every part but the last."""
    missing: list[int]
    """Numbers, counted from 1, of the parts that are still to be sent."""
    is_complete: bool


class PartAddress(Payload):
    """Where to PUT one part. It needs no token."""

    url: str
    size: int
    """Bytes; exactly as many are taken."""
    expires_at: datetime


class MadeJob(JobDetail):
    uploads: list[UploadState]


class JobPage(Payload):
    jobs: list[JobSummary]
    next: str | None
    """Send it as `after` for the next page; null: there is none."""


class SegmentRow(Payload):
    """One stretch of the film."""

    index: int
    """Counted from 0."""
    state: str
    """`pending`, `waiting` (for a GPU), `running`, `done` or `failed`."""
    frames: int
    frames_done: int
    """By the present attempt; it may lag behind by seconds."""
    attempt: int
    """Which one it is; 0: nobody has begun."""
    seconds: float | None
    """That the successful attempt took."""
    finished_at: datetime | None
    error: Failure | None
    """Of the last attempt that failed, while the segment is not done."""

    @classmethod
    def of(cls, segment: Segment) -> SegmentRow:
        """Needs `with_waits`."""
        return cls(
            index=segment.index,
            state=shown_state(segment),
            frames=segment.frame_count,
            frames_done=segment.frames_done,
            attempt=segment.attempt,
            seconds=segment.seconds,
            finished_at=segment.finished_at,
            error=_failure(segment),
        )


class SegmentPage(Payload):
    segments: list[SegmentRow]
    next: int | None
    """Send it as `first` for the next page; null: there is none."""


class JobEvent(Payload):
    id: int
    at: datetime
    kind: str
    detail: str
    segment: int | None
    """Counted from 0."""


class EventPage(Payload):
    events: list[JobEvent]
    """Oldest first."""
    last: int
    """Send it as `after` for what comes later."""


class Result(Payload):
    """The film in 3D."""

    url: str
    """Whoever has it may load the film; it takes no token and knows byte ranges."""
    expires_at: datetime
    file_name: str
    """By which players know the layout."""
    size: int
    """Bytes."""


class NewWebhook(Payload):
    url: Annotated[Text, StringConstraints(min_length=1, max_length=LONGEST)]


class Webhook(Payload):
    """An address that is told when one of your jobs is over."""

    id: int
    url: str
    failing_since: datetime | None
    stopped_at: datetime | None
    """Nothing more is told: it failed for days, or said that it is gone."""


class MadeWebhook(Webhook):
    secret: str
    """Verifies signatures. It is said this once."""


class Delivery(Payload):
    """One notice, and what came of telling it."""

    id: str
    """The header `webhook-id`, the same each time."""
    body: Announcement
    state: str
    """`told`, `due` or `given up`."""
    attempts: int
    answer: str
    due_at: datetime | None
    """When it is tried next."""


class WebhookDetail(Webhook):
    deliveries: list[Delivery]
    """The newest twenty of the last thirty days."""


def _facts(job: Job) -> dict[str, object]:
    return {
        "id": job.pk,
        "title": job.title,
        "owner": job.owner.get_username(),
        "status": Job.Status(job.status),
        "mode": mode_of(job.mode),
        "engine": Engine(job.engine),
        "settings": job.settings,
        "error": _failure(job),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


def _failure(of: Job | Segment) -> Failure | None:
    if not of.error_code:
        return None
    code = ErrorCode(of.error_code)
    return Failure(code=code, message=of.error_message, who_must_act=code.blame)
