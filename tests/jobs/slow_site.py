"""The site as gunicorn serves it, less patient: for `test_deadlines.py`."""

from __future__ import annotations

from django.conf import settings

from apps.jobs import deadlines
from stereospot.wsgi import application

__all__ = ["application"]

deadlines.FORM_SECONDS = 1
# Nobody has collected the static files.
settings.STORAGES["staticfiles"] = {
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
}
