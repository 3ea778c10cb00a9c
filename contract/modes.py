"""How the two eyes lie in one picture, and how strong the depth is."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)


class Payload(BaseModel):
    """A value that crosses a process: frozen, and strict about its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StereoMode(StrEnum):
    SBS = "sbs"
    HALF_SBS = "half_sbs"
    TAB = "tab"
    HALF_TAB = "half_tab"
    ANAGLYPH = "anaglyph"

    @property
    def columns(self) -> int:
        """Eyes beside each other."""
        return 2 if self in (StereoMode.SBS, StereoMode.HALF_SBS) else 1

    @property
    def rows(self) -> int:
        """Eyes above each other."""
        return 2 if self in (StereoMode.TAB, StereoMode.HALF_TAB) else 1

    @property
    def is_half(self) -> bool:
        """Both eyes share the room of one, each squeezed to a half."""
        return self in (StereoMode.HALF_SBS, StereoMode.HALF_TAB)

    def packed_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in pixels of the picture that holds two width × height eyes."""
        if self.is_half:
            return width, height
        return width * self.columns, height * self.rows


FLAT: Literal["flat"] = "flat"
"""No second eye: of a prompt its clip, as it was made."""


def mode_of(name: str) -> StereoMode | Literal["flat"]:
    """The mode that a job's row names; ValueError for what is none."""
    return FLAT if name == FLAT else StereoMode(name)


def _one_of_them(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    try:
        return validate(value)
    except ValidationError:  # which names each half of the union
        known = ", ".join([*StereoMode, FLAT])
        raise ValueError(f"it is none of {known}") from None


Mode: TypeAlias = Annotated[StereoMode | Literal["flat"], WrapValidator(_one_of_them)]


class WeightsLicence(Payload):
    """What may be done with an engine's weights, and so with the films it makes."""

    name: str
    """As its owners call it; empty where there are no weights."""
    commerce: bool
    """Free for commerce; otherwise for research and study only."""

    @property
    def summary(self) -> str:
        """A few words for people, in the middle of a sentence."""
        return (
            "free for any use, commerce included" if self.commerce else "research only"
        )


class Engine(StrEnum):
    """A depth estimator with a filler; see `inference.engines`."""

    PREVIEW = "preview"
    FAST = "fast"
    STEREOCRAFTER = "stereocrafter"

    @property
    def licence(self) -> WeightsLicence:
        """Of the weights that the engine loads, the strictest of them."""
        return _LICENCES[self]

    @property
    def seconds_per_megapixel(self) -> float:
        """Of work for a million pixels of one eye in one frame: see docs/engines.md."""
        return _SECONDS_PER_MEGAPIXEL[self]

    @property
    def pays_for_context(self) -> bool:
        """Whether a frame of context costs it about as much as one of its own. Then it is
        worth looking for cuts, on which segments need none: it costs decoding half the
        film, 2 s of a core for each boundary at 1080p."""
        return self is not Engine.PREVIEW

    @property
    def has_reference(self) -> bool:
        """A published algorithm exists that `StereoSettings.reference` can follow."""
        return self is Engine.STEREOCRAFTER


_SECONDS_PER_MEGAPIXEL = {
    Engine.PREVIEW: 0.3,
    Engine.FAST: 0.6,
    Engine.STEREOCRAFTER: 4.0,
}
"""Estimates, rather too slow than too fast: a segment has to end before its time is up."""

_LICENCES = {
    Engine.PREVIEW: WeightsLicence(name="", commerce=True),
    Engine.FAST: WeightsLicence(name="Apache-2.0", commerce=True),
    Engine.STEREOCRAFTER: WeightsLicence(
        name="Tencent’s for StereoCrafter and DepthCrafter, "
        "Stability AI’s for Stable Video Diffusion",
        commerce=False,
    ),
}


class StereoSettings(Payload):
    max_disparity: float = Field(default=2.0, ge=0.0, le=10.0)
    """Largest shift between the eyes, in percent of the picture's width."""
    convergence: float = Field(default=0.5, ge=0.0, le=1.0)
    """The inverse depth that lies in the screen plane; nearer comes out of the screen."""
    reference: bool = False
    """The published algorithm, faults included, to compare by: `Engine.has_reference`."""
