"""Where a page of the list ended. Opaque to clients, and nothing secret."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import NamedTuple, Self
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.jobs.models import Job
from contract.errors import ErrorCode, StereoSpotError


class Cursor(NamedTuple):
    """Of the last job shown. Its facts, not its id alone: it may be deleted meanwhile."""

    created_at: datetime
    id: UUID

    def __str__(self) -> str:
        text = f"{self.created_at.isoformat()} {self.id}"
        return base64.urlsafe_b64encode(text.encode()).decode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `StereoSpotError`."""
        try:
            decoded = base64.b64decode(text, altchars=b"-_", validate=True).decode()
            at, _, id_ = decoded.partition(" ")
            created_at = datetime.fromisoformat(at)
            if created_at.tzinfo is None:
                raise ValueError("no time zone")
            return cls(created_at, UUID(id_))
        except (ValueError, binascii.Error) as error:
            message = "`after` is not the `next` of a page: begin without it."
            raise StereoSpotError(ErrorCode.INVALID_INPUT, message) from error

    def after(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """Those of `jobs`, newest first, that come after it."""
        # The first condition follows from the second, but an index can begin with it.
        jobs = jobs.filter(created_at__lte=self.created_at)
        return jobs.filter(Q(created_at__lt=self.created_at) | Q(id__lt=self.id))
