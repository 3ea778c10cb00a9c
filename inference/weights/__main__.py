"""`python -m inference.weights ENGINE`: fetch an engine's weights ahead of time."""

from __future__ import annotations

import argparse
import logging
import sys

from contract.errors import StereoSpotError
from contract.modes import Engine
from inference.weights import fetch


def main(arguments: list[str]) -> int:
    """0, or 1 and a line that says who must do what."""
    parser = argparse.ArgumentParser(
        prog="python -m inference.weights",
        description="Fetch an engine's weights, and say what lies where.",
    )
    parser.add_argument("engine", choices=list(Engine), type=Engine)
    engine = parser.parse_args(arguments).engine
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        weights = fetch(engine)
    except StereoSpotError as error:
        print(f"{error} [{error.code}]", file=sys.stderr)
        return 1
    for repo, located in weights.items():
        size = sum(file.stat().st_size for file in located.files)
        print(f"{size / 1e9:8.3f} GB  {repo.name}  {located.revision[:7]}")
        print(f"             {located.folder}")
    if engine.licence.name:
        print(f"Licence: {engine.licence.name}: {engine.licence.summary}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
