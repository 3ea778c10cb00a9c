from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from inference.stages.warp import splat as splat_module
from inference.stages.warp.splat import splat

pytest.importorskip("triton", reason="Triton is made for Linux on x86-64 only")

ROOT = Path(__file__).parents[2]
CARDS = {"A100": 80, "H100": 90}
DTYPES = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "u8": torch.uint8,
    "u16": torch.uint16,
}

# Triton decides when it is imported whether kernels are compiled or interpreted.
INTERPRET = """
import sys, torch
from inference.stages.warp.kernel import splat
torch.set_num_threads(1)
torch.save([splat(*case) for case in torch.load(sys.argv[1])], sys.argv[2])
"""


def picture(dtype: torch.dtype, chance: torch.Generator, *size: int) -> Tensor:
    left = torch.rand(*size, generator=chance)
    if not dtype.is_floating_point:
        left *= torch.iinfo(dtype).max
    return left.to(dtype)


def cases() -> dict[str, tuple[Tensor, Tensor]]:
    chance = torch.Generator().manual_seed(7)

    def noise(*size: int) -> Tensor:
        return torch.randn(*size, generator=chance)

    left = torch.rand(2, 3, 4, 40, generator=chance)
    size = (2, 1, 4, 40)
    return {
        "no disparity": (left, torch.zeros(size)),
        "a step": (left, (torch.arange(40) > 17).expand(size) * 6.25),
        "out of the picture": (left, torch.full(size, 500.0)),
        "smooth": (left, noise(*size).cumsum(-1) / 6),
        "noise": (left, noise(*size) * 9),
        "whole pixels": (left, (noise(*size) * 3).round()),
        "a single column": (left[..., :1], noise(2, 1, 4, 1)),
        "longer than a program": (
            torch.rand(1, 3, 2, 1100, generator=chance),
            noise(1, 1, 2, 1100).cumsum(-1) / 4,
        ),
        "not contiguous": (left.mT.contiguous().mT, noise(2, 1, 1, 1).expand(size)),
        **{
            f"of {name}": (picture(dtype, chance, 2, 3, 4, 40), noise(*size) * 2)
            for name, dtype in DTYPES.items()
        },
    }


CASES = cases()


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory):
    """What the kernel makes of each case, run by Triton's interpreter on the CPU."""
    folder = tmp_path_factory.mktemp("kernel")
    torch.save(list(CASES.values()), folder / "cases")
    subprocess.run(
        [sys.executable, "-c", INTERPRET, folder / "cases", folder / "made"],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        check=True,
        timeout=120,
    )
    return dict(zip(CASES, torch.load(folder / "made"), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_the_kernel_makes_the_same_picture_as_torch(interpreted, case):
    assert_same(interpreted[case], splat(*CASES[case]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card is here")
@pytest.mark.parametrize("case", CASES)
def test_on_a_card_too(case):
    on_card = splat(*(tensor.cuda() for tensor in CASES[case]))

    assert_same([tensor.cpu() for tensor in on_card], splat(*CASES[case]))


def assert_same(made, expected):
    for tensor, wanted in zip(made, expected, strict=True):
        assert tensor.dtype == wanted.dtype
        assert tensor.shape == wanted.shape
    (right, occluded), (expected_right, expected_occluded) = made, expected
    assert torch.equal(occluded, expected_occluded)
    apart = (right.double() - expected_right.double()).abs().max()
    assert apart <= max(1e-6, last_place(right.dtype))


def last_place(dtype: torch.dtype) -> float:
    """Of a dtype at 1: a hair more or less may be rounded to the next value."""
    return torch.finfo(dtype).eps if dtype.is_floating_point else 1.0


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("dtype", ["fp32", "u16"])
def test_the_kernel_compiles_for_cards_that_are_not_here(
    card, dtype, monkeypatch, tmp_path
):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))

    ptx = compiled(dtype, CARDS[card])

    assert ptx.count("bar.sync") == 2  # scratch is ready; everything has landed
    assert "max.s32" in ptx  # the z-test, in the memory itself


def compiled(dtype: str, capability: int) -> str:
    """The program for a card of that compute capability, as PTX."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from inference.stages.warp import kernel

    source = ASTSource(
        fn=kernel._row,
        signature={
            **dict.fromkeys(("left", "right", "occluded"), f"*{dtype}"),
            **{"disparity": "*fp32", "columns": "*i32"},
            **dict.fromkeys(("height", "width", "channels"), "i32"),
            **dict.fromkeys(("is_whole", "size"), "constexpr"),
        },
        constexprs={"is_whole": dtype.startswith("u"), "size": kernel.COLUMNS},
    )
    target = GPUTarget("cuda", capability, 32)
    options = {"enable_fp_fusion": False}
    return triton.compile(source, target=target, options=options).asm["ptx"]


@pytest.fixture
def tried(monkeypatch):
    """A card of its own for a test, which says how the kernel fares there."""
    from inference.stages.warp import kernel

    calls = []

    def fares(error: Exception | None) -> list[Tensor]:
        def launched(left: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
            calls.append(left)
            if error is not None:
                raise error
            return left, disparity

        monkeypatch.setattr(kernel, "splat", launched)
        splat_module._kernel.cache_clear()
        return calls

    yield fares
    splat_module._kernel.cache_clear()


CARD = torch.device("cpu")


def test_a_card_is_given_the_kernel_where_there_is_triton(tried):
    from inference.stages.warp import kernel

    tried(None)

    assert splat_module._kernel(CARD) is kernel.splat


def test_where_the_kernel_cannot_be_launched_torch_does_it_after_one_warning(
    tried, caplog
):
    calls = tried(RuntimeError("Failed to find C compiler"))

    assert [splat_module._kernel(CARD) for _ in range(3)] == [None] * 3
    assert len(calls) == 1
    (warning,) = caplog.records
    assert "Failed to find C compiler" in warning.getMessage()


def test_a_card_that_is_full_just_now_does_not_lose_the_kernel(tried):
    tried(torch.OutOfMemoryError("full"))
    with pytest.raises(torch.OutOfMemoryError):
        splat_module._kernel(CARD)
    tried(None)

    assert splat_module._kernel(CARD) is not None


def test_without_triton_torch_does_it(monkeypatch):
    monkeypatch.setattr(splat_module, "find_spec", lambda name: None)

    assert splat_module._kernel.__wrapped__(CARD) is None
