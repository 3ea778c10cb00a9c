"""What Celery's canvas tests ask of Redis, on one SQLite file.

They keep lists and counters there to see from outside what ran, whatever the result
backend is.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

SCHEMA = """
    CREATE TABLE IF NOT EXISTS entry
    (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, value BLOB)
"""
POLL_SECONDS = 0.02


class StrictRedis:
    """Every value is a list; a counter is as long as it has been counted up."""

    def __init__(self, **address: Any) -> None:
        self.path = Path(os.environ["STEREOSPOT_DATA_DIR"], "redis.sqlite3")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level="IMMEDIATE")
        with contextlib.closing(connection), connection:
            connection.execute(SCHEMA)
            yield connection

    def rpush(self, key: str, *values: str | bytes) -> None:
        rows = [(key, _bytes(value)) for value in values]
        with self._open() as connection:
            connection.executemany("INSERT INTO entry (key, value) VALUES (?, ?)", rows)

    def incr(self, key: str) -> int:
        self.rpush(key, b"")
        return self.llen(key)

    def get(self, key: str) -> bytes | None:
        counted = self.llen(key)
        return str(counted).encode() if counted else None

    def llen(self, key: str) -> int:
        return len(self.lrange(key, 0, -1))

    def exists(self, key: str) -> bool:
        return self.llen(key) > 0

    def lrange(self, key: str, first: int, last: int) -> list[bytes]:
        with self._open() as connection:
            query = "SELECT value FROM entry WHERE key = ? ORDER BY id"
            values = [value for (value,) in connection.execute(query, [_text(key)])]
        return values[first : last + 1 or None]

    def blpop(self, key: str, timeout: float) -> tuple[bytes, bytes] | None:
        end = time.monotonic() + timeout
        while True:
            with self._open() as connection:
                query = "SELECT id, value FROM entry WHERE key = ? ORDER BY id LIMIT 1"
                row = connection.execute(query, [_text(key)]).fetchone()
                if row is not None:
                    connection.execute("DELETE FROM entry WHERE id = ?", [row[0]])
                    return _bytes(key), row[1]
            if time.monotonic() > end:
                return None
            time.sleep(POLL_SECONDS)

    def delete(self, *keys: str) -> None:
        with self._open() as connection:
            rows = [(_text(key),) for key in keys]
            connection.executemany("DELETE FROM entry WHERE key = ?", rows)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _text(key: str | bytes) -> str:
    return key.decode() if isinstance(key, bytes) else key
