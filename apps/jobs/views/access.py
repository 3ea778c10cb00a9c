"""Whose job it is: people see their own, staff sees all."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django_htmx.middleware import HtmxDetails

from apps.jobs.models import Job


class AuthenticatedRequest(HttpRequest):
    user: User
    htmx: HtmxDetails


class SeeOther(HttpResponseRedirect):
    """After a POST: go on with a GET, whatever the method was."""

    status_code = 303


def visible_jobs(user: User) -> QuerySet[Job]:
    """Without the deleted ones, of which only the store's remains are to be removed."""
    jobs = Job.objects.select_related("owner").exclude(status=Job.Status.DELETED)
    return jobs if user.is_staff else jobs.filter(owner=user)


def visible_job(user: User, job_id: UUID) -> Job:
    """Raises `Http404` also for what exists but is another person's."""
    return get_object_or_404(visible_jobs(user), pk=job_id)
