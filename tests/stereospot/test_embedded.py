from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from stereospot import embedded, postgres
from stereospot.embedded import Addresses, Services
from stereospot.postgres import EmbeddedError


def test_addresses_are_known_before_anything_runs_and_stay(tmp_path):
    first = Addresses.of(tmp_path)

    assert Addresses.of(tmp_path) == first


def test_the_secret_key_is_made_once_and_private(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: embedded.secret_key(tmp_path), range(8)))

    assert len(keys) == 1
    assert (tmp_path / "secret-key").stat().st_mode & 0o077 == 0


def test_a_database_is_there_and_what_it_keeps_survives(tmp_path):
    url = Addresses.of(tmp_path).database_url
    with Services(tmp_path, sqs=False), psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('rain')")
    with Services(tmp_path, sqs=False), psycopg.connect(url) as connection:
        assert connection.execute("SELECT word FROM kept").fetchone() == ("rain",)


def test_it_stops_below_a_folder_that_only_we_may_enter(tmp_path):
    with Services(tmp_path / "films", sqs=False):
        tmp_path.chmod(0o700)

    assert not (tmp_path / "films" / "postgres" / "postmaster.pid").exists()


def test_a_second_holder_of_the_same_folder_is_refused(tmp_path):
    with Services(tmp_path, database=False, sqs=False):
        assert embedded.is_running(tmp_path)
        with (
            pytest.raises(EmbeddedError, match="already runs"),
            Services(tmp_path, database=False, sqs=False),
        ):
            pass
    assert not embedded.is_running(tmp_path)


def test_a_port_that_somebody_else_has_is_named(tmp_path):
    with Services(tmp_path / "one", database=False):
        port = Addresses.of(tmp_path / "one").sqs_port
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "port").write_text(str(port))

        with (
            pytest.raises(EmbeddedError, match=str(port)),
            Services(tmp_path / "two", database=False),
        ):
            pass
    assert not embedded.is_running(tmp_path / "two")


def test_a_long_path_gets_its_socket_elsewhere():
    short, long = Path("/data"), Path("/data") / ("x" * 100)

    assert postgres.socket_dir(short) == short / "postgres"
    assert len(str(postgres.socket_dir(long))) < 60


def test_a_path_with_spaces_and_quotes_works(tmp_path):
    folder = tmp_path / "it's my data"
    url = Addresses.of(folder).database_url

    with Services(folder, sqs=False), psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
