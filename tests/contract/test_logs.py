"""What the log must not know."""

from __future__ import annotations

import pytest
import structlog
from structlog.testing import capture_logs

from contract.logs import _without_keys, configure


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("PUT /uploads/WzEsMV0:1x:NUo", "PUT /uploads/…"),
        ("Not Found: /uploads/WzEsMV0:1x:NUo", "Not Found: /uploads/…"),
        ("GET /films/WzE:1x:NUo/Rain.mp4", "GET /films/…/Rain.mp4"),
        ("POST /api/v1/jobs/1/uploads/film/parts/2", None),
    ],
)
def test_no_line_has_a_signed_address_in_it(line, kept):
    event = _without_keys(None, "info", {"request": line, "event": line})

    assert event == {"request": kept or line, "event": kept or line}


def test_a_logger_of_before_a_second_call_is_still_heard(settings):
    log = structlog.get_logger("tests.early")
    log.info("first use")
    configure(settings.LOGGING)

    with capture_logs() as heard:
        log.info("second use")

    assert [entry["event"] for entry in heard] == ["second use"]
