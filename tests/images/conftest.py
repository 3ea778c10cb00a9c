from __future__ import annotations

from pathlib import Path

import pytest

from tests.images.dockerfiles import INFERENCE, WEB, make_app, make_context


@pytest.fixture(scope="session")
def context(tmp_path_factory) -> Path:
    """The files that an image may be built from."""
    folder = tmp_path_factory.mktemp("context")
    make_context(folder)
    return folder


@pytest.fixture(scope="session")
def web(context, tmp_path_factory) -> Path:
    """`/app` of the site and the workers."""
    return make_app(WEB, context, tmp_path_factory.mktemp("web"))


@pytest.fixture(scope="session")
def server(context, tmp_path_factory) -> Path:
    """`/app` of the inference server."""
    return make_app(INFERENCE, context, tmp_path_factory.mktemp("server"))
