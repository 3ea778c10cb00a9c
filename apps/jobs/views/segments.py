"""The segments of a film, row by row: where a cell of its page's strip leads to."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from apps.jobs.views.access import AuthenticatedRequest, visible_job
from apps.jobs.views.progress import SEGMENT_WORDS, shown_state, with_waits

PAGE = 100


@require_safe
@login_required
def segments(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    """A hundred rows, among them that of the segment that `first` names."""
    job = visible_job(request.user, job_id)
    total = job.total_segments or 0
    first = request.GET.get("first", "1")
    wanted = int(first) - 1 if first.isdecimal() and len(first) < 9 else 0
    start = min(max(wanted, 0), max(total - 1, 0)) // PAGE * PAGE
    found = job.segments.defer("frames", "depth").order_by("index")
    page = found.filter(index__gte=start, index__lt=start + PAGE)
    rows = [
        {
            "segment": segment,
            "number": segment.index + 1,
            "state": (state := shown_state(segment)),
            "words": SEGMENT_WORDS[state].capitalize(),
        }
        for segment in with_waits(page)
    ]
    context = {
        "job": job,
        "rows": rows,
        "last": start + len(rows),
        "now": now(),
        "earlier": start - PAGE + 1 if start else None,
        "later": start + PAGE + 1 if start + PAGE < total else None,
    }
    return render(request, "jobs/segments.html", context)
