"""Stable Video Diffusion's networks, and what both DepthCrafter and StereoCrafter do with them."""
