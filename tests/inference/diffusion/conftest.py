from __future__ import annotations

from pathlib import Path

import pytest

from inference.diffusion.networks import Networks
from tests.inference.diffusion.tiny import BASE, DEPTH, STEREO, save_networks


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny networks, each in the layout of its repository."""
    folder = tmp_path_factory.mktemp("weights")
    save_networks(folder)
    return folder


@pytest.fixture(scope="session")
def depth_networks(weights: Path) -> Networks:
    return Networks.load(weights / BASE, weights / DEPTH)


@pytest.fixture(scope="session")
def inpainting_networks(weights: Path, depth_networks: Networks) -> Networks:
    return depth_networks.with_unet(weights / STEREO)
