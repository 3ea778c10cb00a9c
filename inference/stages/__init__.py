"""The four steps of a conversion, each tensors in, tensors out: depth, warp, fill, compose."""
