"""The Django project: settings, Celery application, URLs, logs, the embedded stack."""

from stereospot.celery import app as celery_app

__all__ = ["celery_app"]
