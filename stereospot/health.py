"""`python -m stereospot.health HOST:PORT`: whether the site answers, for its container.

The same image runs workers, and has one health check. A container that runs one of those
is healthy as long as it runs: whether its work gets on, the sweep sees.
"""

from __future__ import annotations

import http.client
import sys
from pathlib import Path

from stereospot.environment import Environment

FIRST_PROCESS = Path("/proc/1/cmdline")
"""The command of the container."""


def main(arguments: list[str]) -> int:
    """0 for healthy, else 1 and why, as a container's engine wants it."""
    if b"gunicorn" not in FIRST_PROCESS.read_bytes():
        return 0
    try:
        status = _status(arguments[0])
    except (OSError, http.client.HTTPException) as error:
        print(f"No answer: {error}", file=sys.stderr)
        return 1
    if status != http.HTTPStatus.OK:
        print(f"Status {status}", file=sys.stderr)
        return 1
    return 0


def _status(address: str) -> int:
    """Of a page that needs no database: its outage is no reason to restart the site."""
    # As whoever forwards to us asks, or Django refuses the name or redirects to HTTPS.
    host = Environment().django_allowed_hosts[0].removeprefix(".").replace("*", "any")
    headers = {"Host": host, "X-Forwarded-Proto": "https"}
    connection = http.client.HTTPConnection(address, timeout=4)
    try:
        connection.request("GET", "/login/", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
