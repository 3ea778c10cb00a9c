"""The parts of the inference server: what is asked, where it lies, who converts it."""
