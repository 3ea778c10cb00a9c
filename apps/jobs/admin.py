"""A window on the ledger: operators look, and ask the ledger to retry or cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import admin
from django.contrib import messages as notices
from django.db import models, transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django_celery_results.models import GroupResult, TaskResult

from apps.jobs import ledger
from apps.jobs.models import Event, Job, Segment
from apps.pipeline import messages, retrying

if TYPE_CHECKING:

    class CountedJob(Job):
        segments_done: int


# Celery's own bookkeeping: nothing that an operator should look at, let alone add to.
admin.site.unregister([TaskResult, GroupResult])


class ReadOnly:
    """Nothing is added, changed or deleted here: the ledger's rules would not hold."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


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
        return super().get_queryset(request).defer("frames")


class EventInline(ReadOnly, admin.TabularInline[Event, Job]):
    model = Event
    fields = readonly_fields = ("at", "kind", "segment_index", "detail")
    ordering = ("-id",)


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
        "tidied_at",
        "source_key",
        "final_key",
        "film",
        "picture",
    )
    inlines = (SegmentInline, EventInline)
    actions = ("retry", "cancel")

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
        """Whether the person may use the actions; looking takes less."""
        return request.user.has_perm("jobs.change_job")

    @admin.action(description="Retry", permissions=["work"])
    def retry(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        retried = [again for job_id in _ids(jobs) if (again := retrying.retry(job_id))]
        for job in retried:
            _send_retry(job)
        self._tell(request, len(retried), "retried; the others had not failed")

    @admin.action(description="Cancel", permissions=["work"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        cancelled = [job_id for job_id in _ids(jobs) if ledger.cancel(job_id)]
        self._tell(request, len(cancelled), "cancelled; the others were over")

    def _tell(self, request: HttpRequest, number: int, what: str) -> None:
        jobs = "1 job" if number == 1 else f"{number} jobs"
        level = notices.SUCCESS if number else notices.WARNING
        self.message_user(request, f"{jobs} {what}.", level)


def _send_retry(job: Job) -> None:
    # Robust: when the queue does not answer, the sweep sends it later.
    transaction.on_commit(lambda: messages.send_retry(job), robust=True)


def _ids(jobs: QuerySet[Job]) -> list[UUID]:
    return list(jobs.values_list("pk", flat=True))
