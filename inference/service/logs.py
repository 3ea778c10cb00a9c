"""One JSON line for each event, on stderr, alike in the server and in its child."""

from __future__ import annotations

import logging.config
from typing import Any

import structlog
from structlog.typing import Processor

from contract.invocation import Invocation
from inference.service.places import segment_of

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def configure(level: str) -> None:
    """Call once in each process."""
    logging.config.dictConfig(
        {
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
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "json"}
            },
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {
                "botocore": {"level": "WARNING"},
                "boto3": {"level": "WARNING"},
                "s3transfer": {"level": "WARNING"},
                "urllib3": {"level": "WARNING"},
                "asyncio": {"level": "WARNING"},
                "uvicorn": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def context(invocation: Invocation) -> dict[str, Any]:
    """What every line about an invocation says."""
    said: dict[str, Any] = {
        "attempt": invocation.attempt,
        "engine": invocation.engine.value,
        "digest": invocation.digest[:12],
    }
    if segment := segment_of(invocation.output_uri):
        said |= {"job_id": str(segment.job_id), "segment_index": segment.index}
    return said
