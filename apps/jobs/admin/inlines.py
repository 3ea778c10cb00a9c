"""What belongs to a job, under it on its page; of much the part that says most."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.jobs.admin.windows import ReadOnly
from apps.jobs.models import DeadLetter, Event, Invocation, Job, Segment

MOST = 200
"""Rows of each kind: a long film has thousands."""


class Part(ReadOnly, admin.TabularInline[Any, Job]):
    """The first `MOST` of a job's rows."""

    ordering: ClassVar[tuple[str, ...]] = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        match = request.resolver_match
        job_id = match.kwargs.get("object_id") if match else None
        # A formset filters what it is given, which a slice does not allow.
        first = rows.filter(job=job_id).order_by(*self.ordering).values("pk")[:MOST]
        return rows.filter(pk__in=first)


class SegmentInline(Part):
    model = Segment
    fields = (
        "index",
        "status",
        "attempt",
        "failures",
        "frame_count",
        "frames_done",
        "seconds",
        "lease_expires_at",
        "engine_version",
        "error_code",
        "error_message",
    )
    readonly_fields = fields
    ordering = ("-status", "index")
    verbose_name_plural = f"Segments, the unfinished first, {MOST} at most"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Segment]:
        return super().get_queryset(request).defer("frames", "depth")


class InvocationInline(Part):
    model = Invocation
    fields = readonly_fields = (
        "segment_index",
        "attempt",
        "backend",
        "inference_id",
        "opened_at",
        "sent_at",
        "is_waiting",
        "begun_at",
        "answered_at",
        "outcome",
        "expires_at",
        "success_uri",
        "failure_uri",
    )


class EventInline(Part):
    model = Event
    fields = readonly_fields = ("at", "kind", "segment_index", "detail")
    verbose_name_plural = f"Events, the newest first, {MOST} at most"


class DeadLetterInline(Part):
    model = DeadLetter
    fields = readonly_fields = (
        "queue",
        "task",
        "segment_index",
        "deliveries",
        "reason",
        "status",
        "buried_at",
    )
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        return super().get_queryset(request).defer("body")
