"""Jobs: operators look, and ask the ledger to retry, cancel or delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import admin
from django.contrib import messages as notices
from django.db import models
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from apps.jobs import ledger
from apps.jobs.admin.windows import ReadOnly, may_work, tell
from apps.jobs.models import DeadLetter, Event, Invocation, Job, Segment
from apps.jobs.sending import after_commit
from apps.pipeline import messages, retrying
from contract.errors import StereoSpotError

if TYPE_CHECKING:

    class CountedJob(Job):
        segments_done: int


class SegmentInline(ReadOnly, admin.TabularInline[Segment, Job]):
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
    ordering = ("index",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Segment]:
        return super().get_queryset(request).defer("frames", "depth")


class InvocationInline(ReadOnly, admin.TabularInline[Invocation, Job]):
    model = Invocation
    fields = readonly_fields = (
        "segment_index",
        "attempt",
        "backend",
        "inference_id",
        "opened_at",
        "sent_at",
        "is_waiting",
        "answered_at",
        "outcome",
        "expires_at",
        "success_uri",
        "failure_uri",
    )


class EventInline(ReadOnly, admin.TabularInline[Event, Job]):
    model = Event
    fields = readonly_fields = ("at", "kind", "segment_index", "detail")
    ordering = ("-id",)


class DeadLetterInline(ReadOnly, admin.TabularInline[DeadLetter, Job]):
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


@admin.register(Job)
class JobAdmin(ReadOnly, admin.ModelAdmin[Job]):
    list_display = (
        "title",
        "owner",
        "mode",
        "status",
        "segments_of_all",
        "error_code",
        "created_at",
    )
    list_filter = ("status", "mode", "engine", "error_code", "created_at")
    list_select_related = ("owner",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("=id", "title", "owner__username")
    search_help_text = "Id, title or owner"
    date_hierarchy = "created_at"
    fields = readonly_fields = (
        "id",
        "owner",
        "title",
        "mode",
        "engine",
        "reference",
        "max_disparity",
        "convergence",
        "status",
        "error_code",
        "error_message",
        "attempt",
        "failures",
        "lease_expires_at",
        "notify_at",
        "total_segments",
        "created_at",
        "started_at",
        "finished_at",
        "tidy_at",
        "source_key",
        "depth_key",
        "final_key",
        "film",
        "picture",
    )
    inlines = (SegmentInline, InvocationInline, EventInline, DeadLetterInline)
    actions = ("retry", "cancel", "delete")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        # Counted per row: a join would count the segments of all jobs for each page.
        done = (
            Segment.objects.filter(job=OuterRef("pk"), status=Segment.Status.DONE)
            .order_by()
            .values("job")
            .annotate(number=Count("pk"))
            .values("number")
        )
        counted = Coalesce(Subquery(done), 0, output_field=models.IntegerField())
        return super().get_queryset(request).annotate(segments_done=counted)

    @admin.display(description="Segments")
    def segments_of_all(self, job: CountedJob) -> str:
        return f"{job.segments_done}/{job.total_segments or '–'}"

    def has_work_permission(self, request: HttpRequest) -> bool:
        return may_work(self, request)

    @admin.action(description="Retry", permissions=["work"])
    def retry(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        number = 0
        for job_id in _ids(jobs):
            try:
                job = retrying.retry(job_id)
            except StereoSpotError as error:
                self.message_user(request, f"Job {job_id}: {error}", notices.ERROR)
                continue
            if job:
                number += 1
                after_commit(messages.send_retry, job)
        tell(self, request, number, "retried; the others had not failed")

    @admin.action(description="Cancel", permissions=["work"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        cancelled = [job_id for job_id in _ids(jobs) if ledger.cancel(job_id)]
        for job_id in cancelled:
            after_commit(messages.send_tidy, job_id)
        tell(self, request, len(cancelled), "cancelled; the others were over")

    @admin.action(description="Delete", permissions=["work"])
    def delete(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        """Asks first: the films go with their jobs."""
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": "Delete jobs and their films",
                "opts": self.opts,
                "jobs": jobs,
            }
            return TemplateResponse(request, "admin/jobs/job/delete.html", context)
        deleted = [job_id for job_id in _ids(jobs) if ledger.delete(job_id)]
        for job_id in deleted:
            after_commit(messages.send_tidy, job_id)
        what = "deleted, and their files are being deleted; the others were already"
        tell(self, request, len(deleted), what)
        return None


def _ids(jobs: QuerySet[Job]) -> list[UUID]:
    return list(jobs.values_list("pk", flat=True))
