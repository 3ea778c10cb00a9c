"""What inpainting does where the published algorithm and we differ, and their numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """The defaults are ours; `REFERENCE` is StereoCrafter as published.

    docs/decisions/0012 says of each difference what it changes.
    """

    steps: int = 8
    """Of the sampler, as published."""
    guidance: tuple[float, float] = (1.0, 1.0)
    """Of a chunk's first and last frame, linear between them. At 1 the UNet runs once a
    step, else twice."""
    guides_at_once: bool = False
    """Both passes are one batch of two, with twice the memory."""
    frames_per_second: int = 7
    motion_bucket: int = 127
    """What Stable Video Diffusion is told of the film, as published."""
    augmentation: float = 0.0
    """Standard deviation of the noise on the network's input pixels in [-1, 1]."""
    chunk: int = 23
    """Frames that the network sees at once, as published."""
    overlap: int = 3
    """Of these, at least how many were made with an earlier chunk."""
    tail: int = 23
    """Frames of a shot's last chunk, where it is not the only one."""
    tiles: int | None = None
    """Tiles along each side of the picture; None: the fewest of up to `tile_pixels`."""
    tile_pixels: int = 640 * 1024
    """Four tiles of 1080p fit: little more than 576 × 1024, which SVD was trained on."""
    multiple: int = 64
    """Of pixels along the sides of a tile. The UNet halves latents of 8 pixels thrice."""
    crop: int | None = None
    """Pixels of which the picture's sides are made multiples first, by cutting rows and
    columns off; None: whole, and padded to the tiles."""
    masks_whole_blocks: bool = True
    """A latent counts as uncovered when any of its 8 × 8 pixels is; else the top left."""
    clears_reused: bool = True
    """Reused frames are shown as known, else with the occlusions they once had."""
    keeps_source: bool = True
    """Only what was uncovered is replaced, and only tiles that have any of it are run;
    else the whole picture is what the network makes of it."""
    decodes_tiles: bool = True
    """Each tile is decoded and the pixels are blended; else the whole picture at once."""
    decode_frames: int = 8
    """Frames decoded together, which is when memory peaks. The decoder smooths over time,
    so more are steadier; 8 of a whole tile need what DepthCrafter's 8 of 576 × 1024 do."""
    resets_at_cuts: bool = True
    """Nothing is reused over a cut; else cuts are not seen."""
    lead: int = 12
    """Frames before a segment's own ones that are filled and dropped; no more than the
    segment brings. They are of the same noise as in the segment before."""
    rounds: bool = False
    """What the network makes is rounded to 8 bits."""


DEFAULT = Recipe()

REFERENCE = Recipe(
    guidance=(1.01, 1.01),
    guides_at_once=True,
    tail=20,
    tiles=2,
    multiple=8,
    crop=128,
    masks_whole_blocks=False,
    clears_reused=False,
    keeps_source=False,
    decodes_tiles=False,
    decode_frames=2,
    resets_at_cuts=False,
    lead=0,
    rounds=True,
)
