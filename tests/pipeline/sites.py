"""A site on this machine that has films, and pages that lead elsewhere."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


@dataclass
class Site:
    url: str = ""
    films: dict[str, bytes] = field(default_factory=dict)
    """By path."""
    moved: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    """Paths at which the connection ends without an answer."""
    asked: list[str] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)


@contextlib.contextmanager
def site() -> Iterator[Site]:
    here = Site()
    handler = type("Handler", (_Handler,), {"site": here})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    here.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Nothing on the terminal."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(self.path.split("?")[0])
        self.site.asked.append(path)
        if cookie := self.headers["Cookie"]:
            self.site.cookies.append(cookie)
        if path in self.site.silent:
            self.close_connection = True
            return
        if (target := self.site.moved.get(path)) is not None:
            self._send(302, b"", {"Location": target})
            return
        film = self.site.films.get(path)
        status = self.site.statuses.get(path, 200 if film is not None else 404)
        kind = "video/mp4" if path.endswith(".mp4") else "text/html"
        self._send(status, film or b"", {"Content-Type": kind})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
