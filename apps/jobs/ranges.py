"""A file on disk over HTTP, whole or one range of it, with flat memory.

Players seek by asking for ranges (RFC 9110 §14), and go on with a download by asking
for the rest if the file is still the same (`If-Range`). One range is answered; several
in one request, which no player sends, get the whole file, as the RFC allows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.response import StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import http_date, parse_http_date_safe

BLOCK = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)


class UnsatisfiableError(Exception):
    """The range lies outside of the file."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    start: int
    stop: int
    """One past the last byte."""

    @classmethod
    def parse(cls, header: str, size: int) -> Self | None:
        """None when the header is no single range: then it must be ignored.

        Raises `UnsatisfiableError`.
        """
        match = _RANGE.fullmatch(header.strip())
        if match is None or match.groups() == ("", ""):
            return None
        first, last = match.groups()
        if not first:  # the last so many bytes
            start, stop = max(0, size - int(last)), size
        else:
            start, stop = int(first), min(size, int(last) + 1) if last else size
            if last and int(last) < start:
                return None
        if start >= stop:
            raise UnsatisfiableError
        return cls(start, stop)


class Slice:
    """A range of an open file, block by block; closes the file."""

    def __init__(self, file: BinaryIO, start: int, stop: int) -> None:
        self._file = file
        self._left = stop - start
        file.seek(start)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = self._file.read(min(BLOCK, self._left))
        if not block:
            raise StopIteration
        self._left -= len(block)
        return block

    def close(self) -> None:
        self._file.close()


def serve(
    request: HttpRequest, path: Path, *, content_type: str, disposition: str
) -> HttpResponseBase:
    """Answer GET and HEAD with the file; raises `FileNotFoundError`."""
    # Facts of the opened file: the name may be given to another one at any moment.
    file = path.open("rb")
    stat = os.fstat(file.fileno())
    etag = f'"{stat.st_size:x}-{stat.st_mtime_ns:x}"'
    modified = int(stat.st_mtime)
    response = _answer(request, file, stat.st_size, etag, modified)
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    response["Last-Modified"] = http_date(modified)
    response["Cache-Control"] = "private, no-cache"
    if response.status_code in (200, 206):
        response["Content-Type"] = content_type
        response["Content-Disposition"] = disposition
    return response


def _answer(
    request: HttpRequest, file: BinaryIO, size: int, etag: str, modified: int
) -> HttpResponseBase:
    unchanged = get_conditional_response(request, etag=etag, last_modified=modified)
    if unchanged is not None:
        file.close()
        return unchanged
    try:
        wanted = _wanted(request, size, etag, modified)
    except UnsatisfiableError:
        file.close()
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    start, stop = (wanted.start, wanted.stop) if wanted else (0, size)
    response: HttpResponseBase
    if request.method == "HEAD":
        file.close()
        response = HttpResponse()
    else:
        response = StreamingHttpResponse(Slice(file, start, stop))
    response["Content-Length"] = str(stop - start)
    if wanted:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return response


def _wanted(
    request: HttpRequest, size: int, etag: str, modified: int
) -> ByteRange | None:
    header = request.headers.get("Range")
    # A range has a meaning for GET only (RFC 9110 §14.2).
    if header is None or request.method != "GET":
        return None
    condition = request.headers.get("If-Range")
    if condition is not None:
        is_same = condition == etag or parse_http_date_safe(condition) == modified
        if not is_same:
            return None
    return ByteRange.parse(header, size)
