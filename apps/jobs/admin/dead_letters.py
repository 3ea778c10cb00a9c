"""Messages that the queue gave up: operators read them, and send again or discard."""

from __future__ import annotations

from django.contrib import admin
from django.contrib import messages as notices
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.jobs import ledger
from apps.jobs.admin.windows import NewestOnly, ReadOnly, may_work, tell
from apps.jobs.models import DeadLetter
from apps.pipeline import dead_letters
from apps.pipeline.queues import QueueAwayError

_SHOWN = 4000
"""Characters of a message's text, which may have a million."""


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnly, admin.ModelAdmin[DeadLetter]):
    list_display = (
        "buried_at",
        "queue",
        "task",
        "film",
        "segment_index",
        "deliveries",
        "reason",
        "status",
    )
    # Not by task: strangers may have written any number of names.
    list_filter = ("status", "queue", "buried_at")
    list_select_related = ("job",)
    list_per_page = 50
    paginator = NewestOnly
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("=job__id", "=message_id", "=task_id", "task")
    search_help_text = "Id of the job, the message or the task; or the task’s name"
    fields = readonly_fields = (
        "queue",
        "task",
        "film",
        "segment_index",
        "reason",
        "deliveries",
        "status",
        "sent_at",
        "buried_at",
        "settled_at",
        "message_id",
        "task_id",
        "text",
    )
    actions = ("redrive", "discard")

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        return super().get_queryset(request).defer("body")

    @admin.display(description="Job", empty_value="–")
    def film(self, letter: DeadLetter) -> SafeString | None:
        if letter.job is None:
            return None
        url = reverse("admin:jobs_job_change", args=[letter.job.pk])
        return format_html('<a href="{}">{}</a>', url, letter.job.title)

    @admin.display(description="Message")
    def text(self, letter: DeadLetter) -> SafeString:
        more = len(letter.body) - _SHOWN
        rest = f" … and {more} characters more" if more > 0 else ""
        return format_html("<pre>{}{}</pre>", letter.body[:_SHOWN], rest)

    def has_work_permission(self, request: HttpRequest) -> bool:
        return may_work(self, request)

    @admin.action(description="Redrive: send again", permissions=["work"])
    def redrive(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        number = 0
        try:
            for letter_id in _ids(letters):
                number += dead_letters.redrive(letter_id)
        except QueueAwayError as error:
            self.message_user(request, str(error), notices.ERROR)
        tell(self, request, number, "sent again; the others were settled before")

    @admin.action(description="Discard", permissions=["work"])
    def discard(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        discarded = DeadLetter.Status.DISCARDED
        number = sum(ledger.settle(pk, discarded) for pk in _ids(letters))
        tell(self, request, number, "discarded; the others were settled before")


def _ids(letters: QuerySet[DeadLetter]) -> list[int]:
    return list(letters.order_by("id").values_list("pk", flat=True))
