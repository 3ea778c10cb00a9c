from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from psycopg import sql

from stereospot.embedded import Addresses
from tests.faulty_sqs import FaultySqs
from tests.workers.harness import Farm

MakeFarm = Callable[..., Farm]


@pytest.fixture(scope="module")
def sqs_port() -> int:
    """Of the good SQS of this session."""
    return Addresses.of(Path(os.environ["STEREOSPOT_DATA_DIR"])).sqs_port


@pytest.fixture(scope="module")
def sqs(sqs_port: int) -> Iterator[FaultySqs]:
    with FaultySqs(f"http://127.0.0.1:{sqs_port}") as faulty:
        yield faulty


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """One of the module's own: what is notified is heard in all of a database."""
    own = f"own_{uuid4().hex[:12]}"
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(own)))
        yield urlsplit(settings.DATABASE_URL)._replace(path=f"/{own}").geturl()
        drop = "DROP DATABASE {} WITH (FORCE)"
        server.execute(sql.SQL(drop).format(sql.Identifier(own)))


@contextmanager
def _farms(folders: pytest.TempPathFactory, port: int, good: int) -> Iterator[MakeFarm]:
    with ExitStack() as stack:

        def make(**options: Any) -> Farm:
            farm = Farm(folders.mktemp("farm"), port, good, **options)
            stack.callback(farm.stop)
            return farm

        yield make


@pytest.fixture
def make_farm(
    sqs: FaultySqs, sqs_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeFarm]:
    """A new queue whose workers talk to the faulty SQS, until the test ends."""
    with _farms(tmp_path_factory, sqs.port, sqs_port) as make:
        yield make


@pytest.fixture(scope="module")
def make_shared_farm(
    sqs: FaultySqs, sqs_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeFarm]:
    """The same for all tests of a module."""
    with _farms(tmp_path_factory, sqs.port, sqs_port) as make:
        yield make
