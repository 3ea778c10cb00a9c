"""As `words.moment` does: 24 hours, in UTC and said so."""

from __future__ import annotations

TIME_FORMAT = "H:i"
DATETIME_FORMAT = r"j M Y H:i \U\T\C"
