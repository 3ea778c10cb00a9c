"""One page for who runs the machine: is anything waiting, and is anybody working?"""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from apps.jobs.rows import Row
from apps.pipeline import fleet

MOST_STUCK = 20


@require_safe
@staff_member_required
def fleet_page(request: HttpRequest) -> HttpResponse:
    context = {
        "queues": [(queue, _letters_of(queue.name)) for queue in fleet.queues()],
        "workers": fleet.workers(),
        "gpu": fleet.gpu_side(),
        "backend": settings.INFERENCE_BACKEND,
        "stuck": Row.of(fleet.stuck_jobs().select_related("owner")[:MOST_STUCK]),
        "now": now(),
        "cost_url": settings.COST_URL,
        # Without a job it is everybody's.
        "logs_url": settings.LOGS_URL.replace("{job}", ""),
    }
    return render(request, "jobs/fleet.html", context)


def _letters_of(queue: str) -> str:
    wanted = urlencode({"queue": queue, "status__exact": "waiting"})
    return f"{reverse('admin:jobs_deadletter_changelist')}?{wanted}"
