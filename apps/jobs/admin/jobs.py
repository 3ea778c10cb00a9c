"""Jobs: operators look, and ask the ledger to retry, cancel or delete them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.contrib import messages as notices
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.jobs import estimates, ledger
from apps.jobs.admin.inlines import (
    DeadLetterInline,
    EventInline,
    InvocationInline,
    SegmentInline,
)
from apps.jobs.admin.windows import NewestOnly, ReadOnly, may_work, tell
from apps.jobs.models import Job
from apps.jobs.models.grams import titled
from apps.jobs.rows import Row
from apps.jobs.sending import after_commit
from apps.jobs.templatetags.words import duration
from apps.pipeline import messages, retrying
from contract.errors import ErrorCode, StereoSpotError

if TYPE_CHECKING:

    class ListedJob(Job):
        row: Row


class ByError(admin.SimpleListFilter):
    """All codes there are: to look for those in use would read the whole table."""

    title = "error code"
    parameter_name = "error_code"

    def lookups(self, request: HttpRequest, window: object) -> list[tuple[str, str]]:
        return [(code.value, code.value) for code in ErrorCode]

    def queryset(self, request: HttpRequest, jobs: QuerySet[Job]) -> QuerySet[Job]:
        chosen = self.value()
        return jobs.filter(error_code=chosen) if chosen else jobs


class JobList(ChangeList):
    """Counts and times of the page's jobs, made in one go."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: list[ListedJob] = list(self.result_list)
        for row in Row.of(self.result_list):
            cast("ListedJob", row.job).row = row


@admin.register(Job)
class JobAdmin(ReadOnly, admin.ModelAdmin[Job]):
    list_display = (
        "title",
        "owner",
        "mode",
        "state",
        "segments_of_all",
        "took",
        "error_code",
        "created_at",
    )
    list_filter = ("status", "mode", "engine", ByError, "created_at")
    list_select_related = ("owner",)
    list_per_page = 50
    # Whatever would count or sort all rows is left out: see `tests/jobs/test_many_jobs.py`.
    paginator = NewestOnly
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ("created_at",)
    search_fields = ("title",)
    search_help_text = "Id, part of a title, or an owner’s name"
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
        "clip",
        "film",
        "picture",
        "cost",
        "logs",
    )
    inlines = (SegmentInline, InvocationInline, EventInline, DeadLetterInline)
    actions = ("retry", "cancel", "delete")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        jobs = super().get_queryset(request)
        return jobs if _is_one(request) else jobs.defer("film", "picture")

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return JobList

    def get_search_results(
        self, request: HttpRequest, jobs: QuerySet[Job], search: str
    ) -> tuple[QuerySet[Job], bool]:
        search = search.replace("\0", "").strip()
        if not search:
            return jobs, False
        with suppress(ValueError):
            return jobs.filter(pk=UUID(search)), False
        owners = User.objects.filter(username__iexact=search).values_list("pk")
        # Fetched first: each part of the condition then has an index.
        found = titled(search) | Q(owner__in=[pk for (pk,) in owners])
        return jobs.filter(found), False

    @admin.display(description="State")
    def state(self, job: ListedJob) -> str:
        return job.row.state.words

    @admin.display(description="Segments")
    def segments_of_all(self, job: ListedJob) -> str:
        return f"{job.row.done}/{job.total_segments or '–'}"

    @admin.display(description="Took")
    def took(self, job: ListedJob) -> str:
        so_far = "" if job.is_over or job.row.took is None else " so far"
        return f"{duration(job.row.took)}{so_far}"

    @admin.display(empty_value="set GPU_HOUR_PRICE to have it here")
    def cost(self, job: Job) -> str | None:
        spent, took = estimates.cost(job), estimates.gpu_seconds(job)
        return None if spent is None else f"{spent:.2f}, for {took:.0f} s of conversion"

    @admin.display(description="Logs", empty_value="set LOGS_URL to have a link here")
    def logs(self, job: Job) -> SafeString | None:
        url = settings.LOGS_URL.replace("{job}", str(job.pk))
        return format_html('<a href="{}">Of this job</a>', url) if url else None

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


def _is_one(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and "object_id" in match.kwargs


def _ids(jobs: QuerySet[Job]) -> list[UUID]:
    return list(jobs.values_list("pk", flat=True))
