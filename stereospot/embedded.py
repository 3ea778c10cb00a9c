"""PostgreSQL, SQS and the disk of one machine, for everything the environment leaves unset.

`Addresses` says where the embedded parts are, before they run: settings read it.
`Services` runs them for as long as somebody holds it. What they keep lies in the data
directory: `postgres/` (the ledger), `source/` and `result/` (films), `port` (of SQS,
whose messages live in memory: after a restart the sweep sends them again).
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import random
import secrets
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self
from urllib.parse import quote

from stereospot.postgres import DATABASE, EmbeddedError, Postgres, socket_dir

if TYPE_CHECKING:
    from moto.server import ThreadedMotoServer

READY = "ready"
# Below the range from which Linux takes ports for outgoing connections.
PORTS = range(20_000, 30_000)


class AlreadyRunsError(EmbeddedError):
    """Somebody else holds the `Services` of this data directory."""


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


def push_key(data_dir: Path) -> str:
    """The key that signs this machine's notifications, made once.

    Another one would lose every browser that has subscribed.
    """
    return _kept(data_dir / "push-key", new_push_key)


def new_push_key() -> str:
    """32 bytes of a P-256 key, as browsers and push services spell them."""
    from cryptography.hazmat.primitives.asymmetric import ec

    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def flower_login(data_dir: Path) -> str:
    """User and password of this machine's Flower, made once."""
    secret = _kept(data_dir / "flower-password", lambda: secrets.token_urlsafe(24))
    return f"stereospot:{secret}"


class Services:
    """Context manager: the embedded PostgreSQL and SQS run inside it.

    Only one holder at a time: a second one gets `AlreadyRunsError`.
    """

    def __init__(self, data_dir: Path, *, database: bool = True, sqs: bool = True):
        # Others may pass, as PostgreSQL does where it is another user, but not look.
        data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        self.data_dir = data_dir
        self._wanted = (database, sqs)
        self._lock: IO[str] | None = None
        self._postgres: Postgres | None = None
        self._sqs: ThreadedMotoServer | None = None

    def __enter__(self) -> Self:
        self._lock = _lock(self.data_dir)
        if self._lock is None:
            raise AlreadyRunsError(f"StereoSpot already runs on {self.data_dir}.")
        (self.data_dir / READY).unlink(missing_ok=True)
        try:
            if self._wanted[0]:
                self._postgres = Postgres.start(self.data_dir)
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
        (self.data_dir / READY).unlink(missing_ok=True)
        if self._sqs is not None:
            self._sqs.stop()
        if self._postgres is not None:
            self._postgres.stop()
        if self._lock is not None:
            self._lock.close()


def say_ready(data_dir: Path) -> None:
    """The holder of the `Services` says that others may use what runs."""
    (data_dir / READY).touch()


def is_running(data_dir: Path) -> bool:
    """Whether somebody holds the `Services` of this data directory."""
    with (data_dir / "lock").open("a") as lock:
        # Shared, so that two who ask do not take each other for the holder.
        return not _take(lock, fcntl.LOCK_SH)


def is_ready(data_dir: Path) -> bool:
    """Whether the holder of the `Services` has said so."""
    return (data_dir / READY).exists() and is_running(data_dir)


def _lock(data_dir: Path) -> IO[str] | None:
    lock = (data_dir / "lock").open("a")
    for _ in range(20):  # somebody may be asking `is_running` just now
        if _take(lock, fcntl.LOCK_EX):
            return lock
        time.sleep(0.05)
    lock.close()
    return None


def _take(lock: IO[str], kind: int) -> bool:
    """Take the lock if that needs no waiting; whether it did."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start_sqs(port: int) -> ThreadedMotoServer:
    from moto.server import ThreadedMotoServer

    from stereospot.sqs import count_when_asked

    if not is_free(port):
        raise EmbeddedError(
            f"Port {port} of the embedded SQS is taken by another program. "
            "Stop that, or delete the file `port` in the data directory."
        )
    count_when_asked()
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
    while not is_free(port := random.choice(PORTS)):  # noqa: S311 (not a secret)
        continue
    return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
