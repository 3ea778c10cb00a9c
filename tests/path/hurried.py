"""The product's settings with leases, pauses and sweeps of seconds: nothing else is told
to hurry, so that what comes after a kill comes as it does in the product."""

from __future__ import annotations

from stereospot import settings as usual
from stereospot.settings import *  # noqa: F403

LEASE_SECONDS = 5
LEASE_RENEWAL_SECONDS = 1
RETRY_PAUSES = (1, 1)
SWEEP_SECONDS = 2
CELERY_BEAT_SCHEDULE = {
    name: entry | {"schedule": SWEEP_SECONDS, "options": {"expires": SWEEP_SECONDS}}
    for name, entry in usual.CELERY_BEAT_SCHEDULE.items()
    if name == "sweep"
}
