from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "golden"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of reference tensors, which lies beside the checkout if anywhere."""
    if not FOLDER.is_dir():
        pytest.skip("the reference tensors (../shared/golden) are not here")
    return FOLDER


@pytest.fixture(scope="session")
def golden_code(golden: Path):
    """A module that lies with the reference tensors, by name."""

    def load(name: str) -> ModuleType:
        spec = spec_from_file_location(f"golden_{name}", golden / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "dont_write_bytecode", True)
            spec.loader.exec_module(module)
        return module

    return load
