"""Dockerfiles as stages and steps, and what they make of the repository."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from docker.utils.build import exclude_paths
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
WEB, INFERENCE = ROOT / "Dockerfile", ROOT / "inference" / "Dockerfile"
FILES = [WEB, INFERENCE]


@dataclass
class Stage:
    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def of(self, instruction: str) -> list[str]:
        return [value for name, value in self.steps if name == instruction]

    def copies(self) -> Iterator[tuple[str, list[str], str]]:
        """The stage that is copied from (empty: the context), sources, target."""
        for value in self.of("COPY"):
            words = shlex.split(value)
            options = [word for word in words if word.startswith("--from=")]
            *sources, target = (word for word in words if not word.startswith("--"))
            yield "".join(options).removeprefix("--from="), sources, target

    def variables(self) -> dict[str, str]:
        words = [shlex.split(value) for value in self.of("ENV") + self.of("ARG")]
        return dict(word.split("=", 1) for line in words for word in line)


def stages_of(path: Path) -> list[Stage]:
    stages: list[Stage] = []
    with path.open("rb") as file:
        for step in DockerfileParser(fileobj=file).structure:
            name, value = step["instruction"], step["value"]
            if name == "FROM":
                base, _, alias = re.split(r"\s+", value)
                stages.append(Stage(base, alias))
            elif name != "COMMENT":
                stages[-1].steps.append((name, value))
    return stages


def last_lineage(path: Path) -> list[Stage]:
    """The stages of the image that is built where no target is named, base first."""
    stages = stages_of(path)
    by_name = {stage.name: stage for stage in stages}
    found = [stages[-1]]
    while found[0].base in by_name:
        found.insert(0, by_name[found[0].base])
    return found


def last_of(path: Path, instruction: str) -> str:
    return [value for stage in last_lineage(path) for value in stage.of(instruction)][
        -1
    ]


def health_of(path: Path) -> list[str]:
    return json.loads(last_of(path, "HEALTHCHECK").partition("CMD ")[2])


def copied_from_context(path: Path) -> set[str]:
    return {
        source
        for stage in stages_of(path)
        for origin, sources, _ in stage.copies()
        if not origin
        for source in sources
    }


def make_context(folder: Path) -> None:
    """What Docker sends to its engine: the repository, less what is ignored."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    # Docker adds these two for itself.
    for name in exclude_paths(str(ROOT), rules) - {"Dockerfile", ".dockerignore"}:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def make_app(path: Path, context: Path, root: Path) -> Path:
    """`/app` of the image that is built where no target is named, below `root`."""
    for stage in last_lineage(path):
        for origin, sources, target in stage.copies():
            for source in sources if not origin else ():
                place = root / "app" / target.removeprefix("/app/").removesuffix("./")
                if (context / source).is_dir():
                    shutil.copytree(context / source, place, dirs_exist_ok=True)
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(context / source, place / source)
    return root / "app"
