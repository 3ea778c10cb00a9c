"""Tasks of Story IV: what a producer asked for, and whether it has it."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apps.jobs.admin.windows import NewestOnly, ReadOnly
from apps.jobs.models import VideoTask


@admin.register(VideoTask)
class VideoTaskAdmin(ReadOnly, admin.ModelAdmin[VideoTask]):
    list_display = ("__str__", "status", "reason", "size", "updated_at")
    list_filter = ("status", "created_at")
    list_per_page = 50
    paginator = NewestOnly
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    search_fields = ("parent_id", "task_id")
    search_help_text = "parent_id, task_id, or both with a / between them"
    fields = readonly_fields = (
        "parent_id",
        "task_id",
        "status",
        "reason",
        "prompt",
        "request",
        "seed",
        "size",
        "jobs",
        "media_urls",
        "created_at",
        "updated_at",
        "revision",
        "due_at",
        "attempts",
        "failing_since",
        "answer",
    )

    def get_search_results(
        self, request: HttpRequest, tasks: QuerySet[VideoTask], search: str
    ) -> tuple[QuerySet[VideoTask], bool]:
        """Whole ids only, which have an index."""
        parent_id, slash, task_id = search.replace("\0", "").strip().partition("/")
        if slash:
            return tasks.filter(parent_id=parent_id, task_id=task_id), False
        if not parent_id:
            return tasks, False
        return tasks.filter(Q(parent_id=parent_id) | Q(task_id=parent_id)), False

    @admin.display(description="Size", empty_value="–")
    def size(self, task: VideoTask) -> str | None:
        if task.request is None:
            return None
        asked = task.get_request()
        made = f"{task.width}×{task.height}"
        if (asked.width, asked.height) == (task.width, task.height):
            return made
        return f"{made}, for {asked.width}×{asked.height}"

    @admin.display(description="Jobs", empty_value="–")
    def jobs(self, task: VideoTask) -> SafeString | None:
        clips = task.clips.select_related("job")
        links = [
            (reverse("admin:jobs_job_change", args=[clip.job.pk]), clip.job.status)
            for clip in clips
            if clip.job
        ]
        return format_html_join(", ", '<a href="{}">{}</a>', links) or None
