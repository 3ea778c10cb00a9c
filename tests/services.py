"""Pytest plugin: PostgreSQL and SQS for the session, before Django's settings are read.

They run on a data directory of their own. With `DATABASE_URL` set, the tests use that
server instead.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _start(early_config)
    yield


def _start(config: pytest.Config) -> None:
    data_dir = Path(tempfile.mkdtemp(prefix="stereospot-tests-"))
    os.environ["STEREOSPOT_DATA_DIR"] = str(data_dir)
    config.add_cleanup(lambda: shutil.rmtree(data_dir, ignore_errors=True))

    from stereospot.embedded import Services

    services = Services(data_dir, database="DATABASE_URL" not in os.environ)
    services.__enter__()
    config.add_cleanup(lambda: services.__exit__(None, None, None))
