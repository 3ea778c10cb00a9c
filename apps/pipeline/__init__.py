"""The way of a film: source → segments → stereo segments → final."""
