"""The product's settings, in a hurry: what takes minutes there takes seconds here."""

from __future__ import annotations

import os

from stereospot import settings as usual
from stereospot.settings import *  # noqa: F403

CELERY_BROKER_URL = os.environ["CHAOS_BROKER_URL"]
CELERY_BROKER_TRANSPORT_OPTIONS = usual.CELERY_BROKER_TRANSPORT_OPTIONS | {
    "is_secure": False,
    "wait_time_seconds": 2,
    "visibility_timeout": 8,
    # A frozen connection is given up; a poll is answered after the 2 s above.
    "client-config": {"connect_timeout": 2, "read_timeout": 5},
}

SEGMENT_SECONDS = 0.4
"""Ten frames of 25 a second: see `tests.chaos.films`."""
LEASE_SECONDS = 5
LEASE_RENEWAL_SECONDS = 1
LATE_WRITER_SECONDS = 12
"""More than the lease and twice the time in which a worker hears that it lost it."""
RETRY_PAUSES = (1, 1)
SWEEP_SECONDS = 2
CELERY_BEAT_SCHEDULE = usual.CELERY_BEAT_SCHEDULE | {
    "sweep": {
        "task": "sweep",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS},
    },
}
MAX_ATTEMPTS = 30
"""Kills come every few seconds here, and would with the product's 3 now and then hit the
same stage three times running. Such a job fails rightly, but would hide a lost one."""
