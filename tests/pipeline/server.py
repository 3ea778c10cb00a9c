"""An inference server that does as it is told, for its clients."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from contract.errors import ErrorCode
from contract.generation import Generated, Generation
from contract.invocation import (
    Completed,
    Enquiry,
    Failed,
    Invocation,
    Standing,
    State,
)

OK = Completed(frames=25, seconds=2.0, engine="preview", version="1")
CLIP = Generated(frames=25, seconds=2.0, version="wan-1")
STATUSES = {ErrorCode.BUSY: 429, ErrorCode.DEPTH_UNUSABLE: 422}


def failed(code: ErrorCode, message: str = "It did not work.") -> Failed:
    return Failed(code=code, message=message)


@dataclass
class Scripted:
    """Answers as `script` says, and in the end with `OK`, or `CLIP` to who asks for one."""

    write: Callable[[str], None]
    """Makes the object at a URI."""
    script: deque[Completed | Failed | str | int] = field(default_factory=deque)
    """Answers; a status with a proxy's page; or `break`, `hang` or `no object`."""
    url: str = ""
    asked: list[Invocation | Generation] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    enquiries: list[Enquiry] = field(default_factory=list)
    state: State | int = State.CONVERTING
    """What enquiries are told, or the status of a proxy's page."""
    left: threading.Event = field(default_factory=threading.Event)
    """Set when a caller that is kept waiting closes the connection."""


def self_signed(folder: Path) -> Path:
    """A certificate and its key, which nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key())
        .serial_number(1)
        .not_valid_before(today)
        .not_valid_after(today + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "self-signed.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return path


@contextlib.contextmanager
def serving(scripted: Scripted, *, tls: Path | None = None) -> Iterator[Scripted]:
    handler = type("Handler", (_Handler,), {"scripted": scripted})
    server = _Quiet(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    scripted.url = f"http://127.0.0.1:{server.server_port}"
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scripted.url = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield scripted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *args: object) -> None:
        """A caller that hangs up, or speaks another protocol, is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    scripted: Scripted
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Nothing on the terminal."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        task = json.loads(body)["task"]
        if task in ("look", "cancel"):
            self._tell(Enquiry.model_validate_json(body))
            return
        is_clip = task == "generate"
        kind = Generation if is_clip else Invocation
        asked = kind.model_validate_json(body)
        self.scripted.asked.append(asked)
        self.scripted.tokens.append(self.headers["Authorization"])
        said = self.scripted.script.popleft() if self.scripted.script else OK
        match said:
            case "break":
                self.close_connection = True
            case "hang":
                self.connection.settimeout(20)
                if not self.connection.recv(1):
                    self.scripted.left.set()
                self.close_connection = True
            case "no object":
                self._send(200, OK.model_dump_json())
            case int():
                self._send(said, "<html>the proxy says</html>")
            case Failed():
                status = STATUSES.get(said.code, 503)
                self._send(status, said.model_dump_json())
            case _:
                self.scripted.write(asked.output_uri)
                self._send(200, (CLIP if is_clip else OK).model_dump_json())

    def _tell(self, enquiry: Enquiry) -> None:
        self.scripted.enquiries.append(enquiry)
        state = self.scripted.state
        if isinstance(state, State):
            self._send(200, Standing(state=state).model_dump_json())
        else:
            self._send(state, "<html>the proxy says</html>")

    def _send(self, status: int, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
