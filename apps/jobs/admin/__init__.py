"""A window on the ledger: operators look, and ask the ledger for what they may change."""

from __future__ import annotations

from django.contrib import admin
from django_celery_results.models import GroupResult, TaskResult

from apps.jobs.admin.accounts import AccountAdmin
from apps.jobs.admin.dead_letters import DeadLetterAdmin
from apps.jobs.admin.jobs import JobAdmin
from apps.jobs.admin.video_tasks import VideoTaskAdmin

admin.site.site_header = admin.site.site_title = "StereoSpot"
admin.site.index_template = "admin/stereospot_index.html"
# Celery's own bookkeeping: nothing that an operator should look at, let alone add to.
admin.site.unregister([TaskResult, GroupResult])

__all__ = ["AccountAdmin", "DeadLetterAdmin", "JobAdmin", "VideoTaskAdmin"]
