"""`python -m inference.weights ENGINE`: fetch an engine's weights ahead of time."""

from __future__ import annotations

import argparse
import logging
import sys

from contract.errors import StereoSpotError
from contract.generation import CLIPS_LICENCE, MAKER
from contract.modes import Engine
from inference.weights import WAN, located, needed


def main(arguments: list[str]) -> int:
    """0, or 1 and a line that says who must do what."""
    parser = argparse.ArgumentParser(
        prog="python -m inference.weights",
        description="Fetch an engine's weights, and say what lies where.",
    )
    parser.add_argument("engine", choices=[*Engine, MAKER])
    name = parser.parse_args(arguments).engine
    repos = (WAN,) if name == MAKER else needed(Engine(name))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        weights = located(repos)
    except StereoSpotError as error:
        print(f"{error} [{error.code}]", file=sys.stderr)
        return 1
    for repo, found in weights.items():
        size = sum(file.stat().st_size for file in found.files)
        print(f"{size / 1e9:8.3f} GB  {repo.name}  {found.revision[:7]}")
        print(f"             {found.folder}")
    licence = CLIPS_LICENCE if name == MAKER else Engine(name).licence
    if licence.name:
        print(f"Licence: {licence.name}: {licence.summary}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
