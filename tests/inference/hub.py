"""A Hugging Face hub on this machine, as far as fetching weights goes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Hub:
    """Repositories by name, each with its commit and its files."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, dict[str, bytes]] = {}
        self.commits: dict[str, str] = {}
        self.older: set[str] = set()
        """Commits that repositories have beside their newest, with the same files."""
        self.gated: dict[str, str] = {}
        """The token that each gated repository asks for."""
        self.cuts: dict[str, int] = {}
        """How often yet a file's connection breaks half-way."""
        self.broken: set[str] = set()
        """Repositories that the hub fails to show, with status 500."""
        self.asked: Counter[str] = Counter()
        """Bytes of each file that went out."""
        self.requests = 0
        self.shown: set[str | None] = set()
        """What callers showed as their authorization; None: nothing."""

    def add(self, name: str, files: dict[str, bytes], commit: str = "") -> None:
        self.files[name] = files
        self.commits[name] = commit or hashlib.sha1(name.encode()).hexdigest()


@contextlib.contextmanager
def serve(hub: Hub) -> Iterator[None]:
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Nothing on the terminal."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.hub.requests += 1
        self.hub.shown.add(self.headers["Authorization"])
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        is_api = parts[0] == "api"
        name = "/".join(parts[2:4] if is_api else parts[:2])
        rest = parts[4:] if is_api else parts[2:]
        if name not in self.hub.files:
            self._fail(HTTPStatus.NOT_FOUND, "RepoNotFound")
        elif name in self.hub.broken:
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, "")
        elif (commit := self._commit(name, rest)) is None:
            self._fail(HTTPStatus.NOT_FOUND, "RevisionNotFound")
        elif is_api:
            self._describe(name, commit, is_tree=rest[:1] == ["tree"])
        elif (token := self.hub.gated.get(name)) and not self._shows(token):
            is_known = "Authorization" in self.headers
            status = HTTPStatus.FORBIDDEN if is_known else HTTPStatus.UNAUTHORIZED
            self._fail(status, "GatedRepo")
        else:
            self._send_file(name, commit, "/".join(rest[2:]))

    def _shows(self, token: str) -> bool:
        return self.headers["Authorization"] == f"Bearer {token}"

    def _commit(self, name: str, rest: list[str]) -> str | None:
        """The one that is asked for; None where there is no such."""
        newest = self.hub.commits[name]
        asked = rest[1] if len(rest) > 1 else "main"
        known = {"main": newest, newest: newest}
        return (known | {older: older for older in self.hub.older}).get(asked)

    def _describe(self, name: str, commit: str, *, is_tree: bool) -> None:
        files = self.hub.files[name].items()
        if is_tree:
            described: object = [
                {"type": "file", "path": path, "size": len(held), "oid": _etag(held)}
                for path, held in files
            ]
        else:
            siblings = [{"rfilename": path, "size": len(held)} for path, held in files]
            described = {
                "id": name,
                "sha": commit,
                "siblings": siblings,
            }
        self._send(HTTPStatus.OK, json.dumps(described).encode(), {})

    def _send_file(self, name: str, commit: str, path: str) -> None:
        held = self.hub.files[name].get(path)
        if held is None:
            self._fail(HTTPStatus.NOT_FOUND, "EntryNotFound")
            return
        headers = {"ETag": f'"{_etag(held)}"', "X-Repo-Commit": commit}
        asked = self.headers["Range"]
        begin = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(held) - 1}/{len(held)}"
        status = HTTPStatus.PARTIAL_CONTENT if begin else HTTPStatus.OK
        is_cut = self.command == "GET" and self.hub.cuts.get(path, 0) > 0
        if is_cut:
            self.hub.cuts[path] -= 1
        left = held[begin:]
        shown = left[: len(left) // 2] if is_cut else left
        if self.command == "GET":
            self.hub.asked[path] += len(shown)
        self._send(status, shown, headers, length=len(left))
        if is_cut:
            self.close_connection = True

    def _fail(self, status: HTTPStatus, code: str) -> None:
        self._send(
            status, b"", {"X-Error-Code": code, "X-Error-Message": status.phrase}
        )

    def _send(
        self,
        status: HTTPStatus,
        body: bytes,
        headers: dict[str, str],
        length: int | None = None,
    ) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _etag(held: bytes) -> str:
    return hashlib.sha1(held).hexdigest()
