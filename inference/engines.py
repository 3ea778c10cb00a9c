"""Engines by name: each is a depth estimator and a filler."""

from __future__ import annotations

from contract.modes import Engine
from inference.pipeline import Pipeline
from inference.stages.depth.preview import Preview
from inference.stages.fill.push_pull import push_pull


def pipeline_for(engine: Engine) -> Pipeline:
    """The pipeline of an engine, ready to run.

    Whoever changes what a pipeline makes of the same frames changes its version.
    """
    match engine:
        case Engine.PREVIEW:
            return Pipeline(depth=Preview(), fill=push_pull, version="preview-2")
