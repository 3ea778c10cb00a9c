"""How the two eyes lie in one picture, and how strong the depth is."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


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


class Engine(StrEnum):
    """A depth estimator with a filler; see `inference.engines`."""

    PREVIEW = "preview"


class StereoSettings(Payload):
    max_disparity: float = Field(default=2.0, ge=0.0, le=10.0)
    """Largest shift between the eyes, in percent of the picture's width."""
    convergence: float = Field(default=0.5, ge=0.0, le=1.0)
    """The inverse depth that lies in the screen plane; nearer comes out of the screen."""
