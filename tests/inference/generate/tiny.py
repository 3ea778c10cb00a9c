"""Wan 2.2 TI2V-5B in the real layout and a millionth of the size, the same everywhere."""

from __future__ import annotations

from pathlib import Path

from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanTransformer3DModel,
)
from tokenizers import AddedToken
from torch import nn
from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

from inference.weights import WAN
from tests.inference.diffusion.tiny import filled

WORDS = ("a", "red", "blue", "ball", "rolls", "rain", "on", "the", "sea")
CHANNELS = 8
"""Of the latents; the real ones have 48."""


def save_networks(folder: Path, *, shards: bool = False) -> Path:
    """The folder of the repository below `folder`, with the files that are fetched."""
    top = folder / WAN.folder
    size = {"max_shard_size": "40KB"} if shards else {}
    _scheduler().save_pretrained(top / "scheduler")
    _tokenizer().save_pretrained(top / "tokenizer")
    _text_encoder().save_pretrained(top / "text_encoder", **size)
    _transformer().save_pretrained(top / "transformer", **size)
    _vae().save_pretrained(top / "vae")
    return top


def _scheduler() -> UniPCMultistepScheduler:
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
    )


def _tokenizer() -> T5Tokenizer:
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary = special + [(f"▁{word}", -2.0) for word in WORDS] + [("▁", -4.0)]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0, unk_token=AddedToken("<unk>"))


def _text_encoder() -> nn.Module:
    config = UMT5Config(
        vocab_size=16, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2
    )
    return filled(UMT5EncoderModel(config), seed=11)


def _transformer() -> nn.Module:
    network = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        text_dim=16,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        rope_max_seq_len=64,
    )
    return filled(network, seed=12)


def _vae() -> nn.Module:
    network = AutoencoderKLWan(
        base_dim=4,
        decoder_base_dim=4,
        z_dim=CHANNELS,
        dim_mult=[1, 2, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * CHANNELS,
        latents_std=[1.0] * CHANNELS,
        is_residual=True,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=16,
    )
    return filled(network, seed=13).float()
