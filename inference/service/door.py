"""Who is let in: not without the token, and no page of the web through a browser.

Whoever sits at this machine may have a page open that a stranger wrote. A browser sends
for such a page what needs no leave, and calls this machine by any name that the stranger
has pointed at it.
"""

from __future__ import annotations

import hmac

from starlette.requests import Request

from contract.errors import ErrorCode, StereoSpotError
from inference.service.settings import Settings

OWN_NAMES = ("localhost", "127.0.0.1")
"""By which this machine calls itself."""


class RefusedError(StereoSpotError):
    """With a status of its own."""

    def __init__(self, status: int, code: ErrorCode, message: str) -> None:
        super().__init__(code, message)
        self.http_status = status


class Door:
    def __init__(self, settings: Settings) -> None:
        self._token = settings.inference_token
        self._is_local = settings.is_local

    def check_browser(self, request: Request) -> None:
        """Of every request; raises `RefusedError`."""
        # Browsers say it with each POST, and with what one page loads from another.
        if "origin" in request.headers:
            message = "Pages of the web may not use this server."
            raise RefusedError(403, ErrorCode.BAD_REQUEST, message)
        host = request.headers.get("host", "").partition(":")[0].lower()
        if self._is_local and host not in OWN_NAMES:
            message = (
                f"Without a token this server answers to {' and '.join(OWN_NAMES)} only, "
                f"not to {host!r}: set INFERENCE_TOKEN."
            )
            raise RefusedError(421, ErrorCode.BAD_REQUEST, message)

    def check_token(self, request: Request) -> None:
        """Of what only its own callers may do; raises `StereoSpotError`."""
        if self._token is None:
            return
        expected = f"Bearer {self._token.get_secret_value()}".encode()
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, expected):
            message = "The token is missing or wrong: send that of INFERENCE_TOKEN."
            raise StereoSpotError(ErrorCode.UNAUTHORIZED, message)

    def check_kind(self, request: Request) -> None:
        """Of a body: what browsers send without asking is no JSON; `RefusedError`."""
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind.strip().lower() != "application/json":
            message = "The body must be JSON: send Content-Type: application/json."
            raise RefusedError(415, ErrorCode.BAD_REQUEST, message)
