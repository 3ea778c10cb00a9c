"""How a line of the log looks, on both sides: JSON, one for each event, on stderr.

Code logs with `structlog.get_logger()`; what libraries log goes through the same
renderer. The context (`job_id`, `segment_index`, `attempt`, `request_id`) is bound in
one place per task, request or invocation with `structlog.contextvars`.
"""

from __future__ import annotations

import logging.config
import re
from collections.abc import Iterable
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_KEY_IN_PATH = re.compile(r"(/films/|(?<!\S)/uploads/)[^/\s]+")
"""A signed link to a film: who reads it can watch the film. Or the signed address of a part:
who reads it can send another one."""


def _without_keys(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for name in ("event", "request"):
        if isinstance(text := event.get(name), str):
            event[name] = _KEY_IN_PATH.sub(r"\1…", text)
    return event


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    _without_keys,
]

_PROCESSORS: list[Processor] = [
    structlog.stdlib.filter_by_level,
    *_SHARED,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]
"""One list for the life of the process: a logger keeps the one of its first use, and
`structlog.testing.capture_logs` changes the one that was configured last."""


def logging_config(level: str, *, quiet: Iterable[str]) -> dict[str, Any]:
    """For `logging.config.dictConfig`; of the `quiet` loggers only warnings are kept."""
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
        "loggers": {name: {"level": "WARNING"} for name in quiet},
    }


def configure(config: dict[str, Any]) -> None:
    """Call once in each process; a second call changes what `config` says."""
    logging.config.dictConfig(config)
    structlog.configure(
        processors=_PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
