"""`python -m inference serve`: the inference server; see docs/operations.md."""

from __future__ import annotations

import argparse
import asyncio
import sys

from pydantic import ValidationError


def main(arguments: list[str]) -> int:
    """0 after SIGTERM; another code, and a line that says why, when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m inference")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve /ping, /invocations and /metrics")
    parser.parse_args(arguments)
    # Late: a child imports this module too, and needs none of it.
    from inference.server import Server
    from inference.service import logs
    from inference.service.settings import Settings

    try:
        settings = Settings()
    except ValidationError as error:
        # Not the whole of it: that would say the values, and one is a secret.
        for fault in error.errors(include_input=False, include_url=False):
            name = ".".join(str(part) for part in fault["loc"]).upper()
            print(f"{name}: {fault['msg']}".lstrip(": "), file=sys.stderr)
        return 1
    logs.configure(settings.log_level)
    asyncio.run(Server(settings).run_until_stopped())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
