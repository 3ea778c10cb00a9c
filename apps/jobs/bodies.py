"""What a form may bring: words. Films come in parts, to addresses of their own."""

from __future__ import annotations

from typing import NoReturn

from django.core.files.uploadhandler import FileUploadHandler, StopUpload


class NoFiles(FileUploadHandler):
    """Ends a form at its first file, which Django would else put on the disk, however
    large, from whomever: it reads a form before it knows who sends it."""

    chunk_size = 64 * 1024

    def new_file(self, *args: object, **options: object) -> NoReturn:
        raise StopUpload(connection_reset=True)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Never called: no file is begun."""

    def file_complete(self, file_size: int) -> None:
        """Never called, either."""
