"""The ledger's tables. Rows change status only in `apps.jobs.ledger`."""

from apps.jobs.models.account import Account, Charge
from apps.jobs.models.api_token import ApiToken
from apps.jobs.models.dead_letter import DeadLetter
from apps.jobs.models.event import Event
from apps.jobs.models.invocation import Invocation
from apps.jobs.models.job import (
    ACTIVE,
    ENGINE_CHOICES,
    FLAT_CHOICE,
    GENERATING,
    MODE_CHOICES,
    OVER,
    OWN_STAGES,
    STATUSES,
    TIDIED,
    Job,
)
from apps.jobs.models.notice import Notice, Subscription
from apps.jobs.models.rate import Rate
from apps.jobs.models.segment import Segment
from apps.jobs.models.upload import Upload
from apps.jobs.models.video_task import VideoClip, VideoTask

__all__ = [
    "ACTIVE",
    "ENGINE_CHOICES",
    "FLAT_CHOICE",
    "GENERATING",
    "MODE_CHOICES",
    "OVER",
    "OWN_STAGES",
    "STATUSES",
    "TIDIED",
    "Account",
    "ApiToken",
    "Charge",
    "DeadLetter",
    "Event",
    "Invocation",
    "Job",
    "Notice",
    "Rate",
    "Segment",
    "Subscription",
    "Upload",
    "VideoClip",
    "VideoTask",
]
