"""`python -m tests.chaos`: one run; the last line of its output has the figures.

Exit code 0 only when nothing was lost, doubled, stuck or orphaned, and every other
invariant holds as well; otherwise what does not is named on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path


def main() -> int:
    arguments = _arguments()
    # Ends like Ctrl-C, so that no process is left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        data_dir = Path(tempfile.mkdtemp(prefix="stereospot-chaos-"))
        if not arguments.keep:
            stack.callback(shutil.rmtree, data_dir, ignore_errors=True)
        for name in list(os.environ):
            # What names a real database, queue or bucket is not for this.
            if name.startswith(("DATABASE_", "CELERY_", "DJANGO_", "SQS_", "AWS_")):
                del os.environ[name]
        os.environ["STEREOSPOT_DATA_DIR"] = str(data_dir)
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.chaos.settings"
        return _run(arguments, data_dir, stack)


def _run(
    arguments: argparse.Namespace, data_dir: Path, stack: contextlib.ExitStack
) -> int:
    from stereospot.embedded import Addresses, Services
    from tests.faulty_sqs import FaultySqs

    stack.enter_context(Services(data_dir))
    upstream = f"http://127.0.0.1:{Addresses.of(data_dir).sqs_port}"
    sqs = stack.enter_context(FaultySqs(upstream, seed=arguments.seed))
    os.environ["CHAOS_BROKER_URL"] = f"sqs://embedded:embedded@127.0.0.1:{sqs.port}"

    import django

    django.setup()
    from tests.chaos.figures import by_job
    from tests.chaos.run import Plan, play

    plan = Plan(arguments.seed, arguments.films, arguments.segments)
    outcome = play(plan, sqs)
    if outcome.violations:
        print(outcome.logs, by_job(outcome.violations), sep="\n\n", file=sys.stderr)
    print(json.dumps(outcome.figures))
    return 1 if outcome.violations else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--films", type=int, default=20, help="ordinary ones")
    parser.add_argument("--segments", type=int, default=20, help="of each film")
    parser.add_argument("--keep", action="store_true", help="keep the data directory")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
