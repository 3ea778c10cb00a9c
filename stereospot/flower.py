"""Flower for the operators: `celery -A stereospot.flower flower`.

Its broker is the bus that the workers' events travel on; the page *Broker* shows the real
queues, at SQS. What would send or abort a task, or read its result, is not there: it
would go nowhere. Staff reach it through the site (`apps.monitoring.views.flower`), which
knows the password; it does not start without one.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import django
import structlog

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stereospot.settings")
django.setup()

from celery import Celery  # noqa: E402 (Django first)
from django.conf import settings  # noqa: E402
from django.db import DatabaseError, connection  # noqa: E402
from flower import urls  # noqa: E402
from flower.options import options  # noqa: E402
from flower.views.broker import BrokerView  # noqa: E402
from tornado import web  # noqa: E402
from tornado.ioloop import IOLoop  # noqa: E402

from apps.pipeline import fleet  # noqa: E402
from workers import monitor  # noqa: E402

ABSENT = (
    r"/api/queues/length",
    r"/api/task/apply/(.+)",
    r"/api/task/async-apply/(.+)",
    r"/api/task/send-task/(.+)",
    r"/api/task/result/(.+)",
    r"/api/task/abort/(.+)",
)
PREFIX = "flower"
"""Of all its addresses, the same as the site's for it."""
MOST_TASKS = 20_000
"""That it remembers, about 2 kB each."""


log = structlog.get_logger(__name__)


class Queues(BrokerView):
    """The queues' figures, by SQS and the ledger."""

    @web.authenticated
    async def get(self) -> None:
        try:
            found = await IOLoop.current().run_in_executor(None, _figures)
        except DatabaseError as error:
            log.warning("no figures of the queues", reason=str(error))
            found = []
        self.render("broker.html", broker_url="Amazon SQS", queues=found)


def _figures() -> list[dict[str, Any]]:
    try:
        return [
            {
                "name": queue.name,
                "messages": counts.waiting + counts.in_flight + counts.delayed,
                "messages_unacknowledged": counts.in_flight,
                "messages_ready": counts.waiting,
                "consumers": queue.workers,
            }
            for queue in fleet.queues()
            if (counts := queue.counts)
        ]
    finally:
        connection.close()  # this thread is one of many


def _handler(known: Any) -> Any:
    if isinstance(known, web.url) and known.name == "broker":
        return web.url(r"/broker", Queues, name="broker")
    return known


def _pattern(known: Any) -> str:
    pattern: str = known.regex.pattern if isinstance(known, web.url) else known[0]
    return pattern


urls.handlers[:] = [_handler(h) for h in urls.handlers if _pattern(h) not in ABSENT]

app = Celery("flower", broker=monitor.URL, set_as_current=False)
app.conf.update(
    broker_transport=monitor.TRANSPORT,
    broker_transport_options={
        "database": settings.CELERY_MONITOR_DATABASE,
        "name": "flower",
    },
)

if not settings.FLOWER_BASIC_AUTH:
    sys.exit("Flower wants FLOWER_BASIC_AUTH=user:password, the same as the site has.")

# Before the command line and FLOWER_…, which may say otherwise.
options.basic_auth = [settings.FLOWER_BASIC_AUTH.get_secret_value()]
options.url_prefix = PREFIX
options.max_tasks = MOST_TASKS
options.enable_events = False  # they are always on
options.tasks_columns = "name,args,state,received,started,runtime,worker,uuid"
