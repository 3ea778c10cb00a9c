"""What one film asks of SQS and of S3: `python -m benchmarks.requests`.

Counted at the server, a moto that is both, for a film through the product's workers with
buckets and an engine that does nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from benchmarks.parts import Bench, parts, working
from benchmarks.sqs import COUNTED

STORE = ("source", "result")


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    with parts(quick=False, buckets=STORE) as bench:
        from benchmarks import films, jobs

        made = {
            count: films.slides(bench.folder / f"{count}.mp4", count)
            for count in (options.few, options.many)
        }
        with working(bench, *jobs.own_workers("benchmarks.noop", segment_seconds=1)):
            jobs.converted(bench, made[options.few])  # connections are made
            few, many = (_asked(bench, film) for film in made.values())
    print(f"| request | film of {options.few} | of {options.many} | a segment more |")
    print("|---|---|---|---|")
    for name in sorted(few + many):
        more = (many[name] - few[name]) / (options.many - options.few)
        print(f"| {name} | {few[name]} | {many[name]} | {more:.2f} |")
    return 0


def _asked(bench: Bench, film: Path) -> Counter[str]:
    """By kind of request, from the first message until nothing is left to do."""
    from benchmarks import jobs

    before = _counts(bench)
    jobs.converted(bench, film)
    return _counts(bench) - before


def _counts(bench: Bench) -> Counter[str]:
    from benchmarks import jobs

    sqs, s3 = bench.sqs.calls(*jobs.OWN_AT_SQS), bench.sqs.calls(*STORE)
    named = {f"SQS {name}": sqs[name] for name in COUNTED}
    return Counter(named | {f"S3 {name}": count for name, count in s3.items()})


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.requests", description=__doc__
    )
    parser.add_argument("--few", type=int, default=10, help="segments of a short film")
    parser.add_argument("--many", type=int, default=60, help="of a longer one")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
