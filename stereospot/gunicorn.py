"""gunicorn's own lines as ours: `--logger-class stereospot.gunicorn.Logger`."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger as Stock

from contract import logs


class Logger(Stock):
    """JSON on stderr, also from the first process, in which there is no Django."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        logs.configure(logs.logging_config("INFO", quiet=()))
        self.error_log.handlers.clear()
        self.error_log.propagate = True
