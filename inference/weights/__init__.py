"""Which files of which repositories an engine needs, and where they lie on this machine.

They come from the Hugging Face hub once, and from its cache (`HF_HOME`) ever after,
without asking the hub: always the same revision. `STEREOSPOT_WEIGHTS` names a folder to
take them from instead, the last part of a repository's name its folder in there.

No torch and no network's code is loaded here: the files can be fetched anywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.errors import ErrorCode, StereoSpotError
from contract.modes import Engine
from inference.weights import whole

FOLDER = "STEREOSPOT_WEIGHTS"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the hub, and what is needed of it."""

    name: str
    files: tuple[str, ...]
    """A large one may come in shards instead, as its `.index.json` says."""
    roots: tuple[str, ...] = ("",)
    """Folders that `files` may lie in, the one to look in first first."""
    revision: str | None = None
    """A commit. None where no public source names one that we could check: then the
    newest at the first use is recorded, and used from then on."""

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[2]

    def complete(self, names: Collection[str]) -> Whole | None:
        """What is needed of the files of these names; None where one is missing."""
        for root in self.roots:
            prefix = f"{root}/" if root else ""
            found = [_with_shards(prefix + file, names) for file in self.files]
            if all(found):
                return Whole(prefix, [name for each in found for name in each])
        return None


@dataclass(frozen=True, slots=True)
class Whole:
    """A complete set of a repository's files."""

    root: str
    """Where the files lie that were asked for, with its slash."""
    names: list[str]
    """Of all of them, shards included, in the repository."""


@dataclass(frozen=True, slots=True)
class Located:
    """A repository's files, whole, on this machine."""

    folder: Path
    """`files` of the repository lie in it under their names."""
    files: tuple[Path, ...]
    """All of them, shards included."""
    revision: str
    """The commit, or a fingerprint of files that came by hand."""


# Files and sizes: the model cards. Revisions: those that several public projects pin.
SVD = Repository(
    "stabilityai/stable-video-diffusion-img2vid-xt-1-1",
    (
        "scheduler/scheduler_config.json",
        "image_encoder/config.json",
        "image_encoder/model.fp16.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    ),
    revision="043843887ccd51926e3efed36270444a838e7861",
)
DEPTHCRAFTER = Repository(
    "tencent/DepthCrafter", ("config.json", "diffusion_pytorch_model.safetensors")
)
STEREOCRAFTER = Repository(
    "TencentARC/StereoCrafter",
    ("config.json", "diffusion_pytorch_model.safetensors"),
    roots=("unet_diffusers", ""),
)
DEPTH_ANYTHING = Repository(
    "depth-anything/Depth-Anything-V2-Small-hf",
    ("config.json", "model.safetensors"),
    revision="5426e4f0f36572d16453bbda7a8389317b1bef99",
)
# Which of its networks come in shards, and in how many, its owners may change.
WAN = Repository(
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
    (
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/tokenizer.json",
        "tokenizer/tokenizer_config.json",
        "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ),
)
"""Makes clips of prompts; Apache-2.0."""

NEEDED: Mapping[Engine, tuple[Repository, ...]] = {
    Engine.PREVIEW: (),
    Engine.FAST: (DEPTH_ANYTHING,),
    Engine.STEREOCRAFTER: (SVD, DEPTHCRAFTER, STEREOCRAFTER),
}

FOR_DEPTH = (DEPTH_ANYTHING, DEPTHCRAFTER)
"""Films that bring their own depth do without these."""


def needed(engine: Engine, *, depth: bool = True) -> tuple[Repository, ...]:
    return tuple(repo for repo in NEEDED[engine] if depth or repo not in FOR_DEPTH)


def fetch(engine: Engine, *, depth: bool = True) -> dict[Repository, Located]:
    """Everything that the engine needs, downloaded where it is not here yet.

    Without `depth`, what it needs for films that bring their own. Raises as `located`.
    """
    return located(needed(engine, depth=depth))


def located(repos: Iterable[Repository]) -> dict[Repository, Located]:
    """The repositories' files, downloaded where they are not here yet.

    StereoSpotError: WEIGHTS_FORBIDDEN (no token, a wrong one, a licence not accepted),
    WEIGHTS_UNREACHABLE (no network, the hub is down), WEIGHTS_CORRUPT (a file is missing
    or not whole, and only a person can mend that), DISK_FULL.
    """
    if folder := os.environ.get(FOLDER):
        return {repo: _by_hand(repo, Path(folder)) for repo in repos}
    # Late: its import takes longer than the preview engine's.
    from inference.weights import hub

    return {repo: hub.located(repo) for repo in repos}


def version(weights: Mapping[Repository, Located]) -> str:
    """Of all the weights, short: it changes when any of them does."""
    return "-".join(located.revision[:7] for located in weights.values())


def names_in(folder: Path) -> set[str]:
    """Of the files below a folder, as a repository names them."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _with_shards(file: str, names: Collection[str]) -> list[str]:
    """The file, or the index and the shards that it comes in; nothing where it does not."""
    if file in names:
        return [file]
    stem, _, extension = file.rpartition(".")
    index = f"{file}.index.json"
    shard = re.compile(
        rf"{re.escape(stem)}-\d{{5}}-of-(\d{{5}})\.{extension}", re.ASCII
    )
    shards = sorted(name for name in names if shard.fullmatch(name))
    counts = {int(match[1]) for name in shards if (match := shard.fullmatch(name))}
    is_whole = index in names and counts == {len(shards)}
    return [index, *shards] if is_whole else []


def _by_hand(repo: Repository, weights: Path) -> Located:
    folder = weights / repo.folder
    names = names_in(folder)
    found = repo.complete(names)
    if found is None:
        first = next(
            file
            for file in repo.files
            if not any(
                _with_shards(f"{root}/{file}" if root else file, names)
                for root in repo.roots
            )
        )
        raise StereoSpotError(
            ErrorCode.WEIGHTS_CORRUPT,
            f"{folder / repo.roots[0] / first} is missing: put the files of {repo.name} "
            f"there, or unset {FOLDER} to fetch them from the hub.",
        )
    files = tuple(folder / name for name in found.names)
    whole.check(files)
    return Located(folder / found.root, files, whole.fingerprint(files))
