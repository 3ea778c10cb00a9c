"""`python -m stereospot.health HOST:PORT`: whether a container of our image is well.

The same image runs the site, the workers and Flower, and has one health check: it looks
at what the container was started for. The site and Flower are to answer, a worker and the
bridge are to poll their queues. The clock (`beat`) is well as long as it runs: whether films get on, the
sweep sees.
"""

from __future__ import annotations

import http.client
import sys
from pathlib import Path

from stereospot.environment import Environment

FIRST_PROCESS = Path("/proc/1/cmdline")
"""The command of the container."""
FLOWER_PORT = 5555


def main(arguments: list[str]) -> int:
    """0 for healthy, else 1 and why, as a container's engine wants it."""
    command = FIRST_PROCESS.read_bytes().split(b"\0")
    if any(b"gunicorn" in word for word in command):
        return _answers(arguments[0], "/healthz")
    if b"worker" in command or b"bridge" in command:
        from workers import pulse

        return pulse.main([str(Environment().stereospot_data_dir / "tmp")])
    if b"flower" in command:
        return _answers(f"127.0.0.1:{FLOWER_PORT}", "/flower/healthcheck")
    return 0


def _answers(address: str, path: str) -> int:
    """Without the database: its outage is no reason to restart what shows it."""
    connection = http.client.HTTPConnection(address, timeout=4)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        print(f"No answer: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        print(f"Status {status}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
