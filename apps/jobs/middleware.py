"""What a browser may do with our pages: load our own files, and films from the store.

On every response, also those that other middleware makes: files, redirects, errors.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"
_OURS = ("autoplay", "fullscreen", "picture-in-picture", "screen-wake-lock")
_NOBODY = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "usb",
)
# A headset tells where it is: without that there is no film in it.
PERMISSIONS = ", ".join(
    [f"{name}=(self)" for name in (*_OURS, "xr-spatial-tracking")]
    + [f"{name}=()" for name in _NOBODY]
)


def policy(*, media: str = "", connect: str = "") -> str:
    """Nothing inline, nothing of third parties.

    `media` is where else films come from, `connect` where else they are sent to.
    """
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "media-src": f"'self' {media}".strip(),
        "connect-src": f"'self' {connect}".strip(),
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in rules.items())


def security_headers(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault(HEADER, policy())
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        # No other site's page embeds what it could not read.
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response

    return middleware
