"""A film from the web, by yt-dlp. Runs in the sandbox, and knows nothing of us.

yt-dlp reads strangers' pages and follows where they lead. Here every connection that it
makes is looked at, so that none leads into our network, also after a redirect; helpers
that make connections of their own are switched off.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import PositiveFloat, PositiveInt

from contract.addresses import is_public
from contract.errors import ErrorCode, StereoSpotError
from contract.modes import Payload

NATIVE = r"^(https?|m3u8_native|http_dash_segments)$"
"""Protocols that yt-dlp speaks itself; for others it would start another program."""
NAME = "film"
_LIVE = ("is_live", "is_upcoming", "post_live")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX = re.compile(r"^(ERROR: )?(\[[^\]]*\] )?([\w-]+: )?")


class Errand(Payload):
    url: str
    folder: Path
    most_bytes: PositiveInt
    most_seconds: PositiveFloat
    most_rows: PositiveInt
    """Of a picture: where there are several sizes, the best that has no more."""
    ffmpeg: Path
    cookies: Path | None = None
    """In the format of Netscape's browsers."""
    may_be_private: bool = False


class Fetched(Payload):
    path: Path
    title: str


class PrivateAddressError(OSError):
    """A connection was to lead into our own network."""


def fetch(errand: Errand) -> Fetched:
    """The film, as a file in the errand's folder.

    StereoSpotError: LINK_REFUSED for what is no single film that is over, or may not be
    had; LINK_UNREACHABLE where the site does not answer now; TOO_LARGE.
    """
    if not errand.may_be_private:
        _look_at_connections()
    os.environ["YTDLP_NO_PLUGINS"] = "1"
    import yt_dlp
    from yt_dlp.downloader.external import FFmpegFD

    # ffmpeg would connect by itself. Without it those streams are refused in words.
    FFmpegFD.available = classmethod(lambda *_: False)
    try:
        with yt_dlp.YoutubeDL(_options(errand)) as ydl:
            found = ydl.extract_info(errand.url, download=False)
            _check(found, errand)
            ydl.process_ie_result(found, download=True)
    except (yt_dlp.utils.YoutubeDLError, OSError) as error:
        raise _explained(error, errand) from error
    return Fetched(path=_file(errand), title=str(found.get("title") or "")[:200])


def _options(errand: Errand) -> dict[str, Any]:
    rows = f"[height<=?{errand.most_rows}][protocol~='{NATIVE}']"
    return {
        "format": f"bv*{rows}+ba[protocol~='{NATIVE}']/b{rows}",
        "merge_output_format": "mkv",
        "outtmpl": str(errand.folder / f"{NAME}.%(ext)s"),
        "max_filesize": errand.most_bytes,
        "noplaylist": True,
        "playlist_items": "1",
        "ffmpeg_location": str(errand.ffmpeg),
        "cookiefile": errand.cookies and str(errand.cookies),
        "external_downloader": {"default": "native"},
        "cachedir": False,
        "color": "never",
        "noprogress": True,
        "quiet": True,
        "no_warnings": True,
        "retries": 3,
        "fragment_retries": 3,
        "socket_timeout": 20,
        "overwrites": True,
        "updatetime": False,
    }


def _check(found: dict[str, Any], errand: Errand) -> None:
    if found.get("_type", "video") != "video":
        raise _refused("That is a list of films: give the address of one.")
    if found.get("is_live") or found.get("live_status") in _LIVE:
        raise _refused("That is not over yet: come back when it is.")
    if (found.get("duration") or 0) > errand.most_seconds:
        hours = errand.most_seconds / 3600
        raise _too_large(f"The film is longer than the {hours:g} hours that are taken.")
    parts = found.get("requested_formats") or [found]
    sizes = [part.get("filesize") or part.get("filesize_approx") or 0 for part in parts]
    if sum(sizes) > errand.most_bytes:
        raise _too_large(_larger(errand))


def _file(errand: Errand) -> Path:
    files = [path for path in errand.folder.glob(f"{NAME}.*") if path.is_file()]
    whole = [path for path in files if path.suffix not in (".part", ".ytdl")]
    if len(whole) != 1:
        # It says nothing but in its log when a file is larger than it may fetch.
        raise _too_large(_larger(errand))
    if whole[0].stat().st_size > errand.most_bytes:
        raise _too_large(_larger(errand))
    return whole[0]


def _explained(error: Exception, errand: Errand) -> StereoSpotError:
    from yt_dlp.networking.exceptions import HTTPError, TransportError

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, PrivateAddressError):
            return _refused("That address leads into this network.")
        if isinstance(cause, socket.gaierror):
            return _refused("There is no such site: look at the address again.")
        if isinstance(cause, HTTPError):
            if cause.status == 429 or cause.status >= 500:
                return _unreachable(f"it answers with status {cause.status}")
            return _refused(
                f"The site answers with status {cause.status}: the film is not there, "
                "or not for everybody. Download it yourself and upload the file."
            )
    for cause in causes:
        if isinstance(cause, TransportError | TimeoutError | ConnectionError):
            return _unreachable(_said(cause, errand))
    return _refused(f"No film can be fetched from there: {_said(error, errand)}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, by all the ways in which yt-dlp keeps that."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        cause = waiting.pop(0)
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        info = getattr(cause, "exc_info", None) or (None, None, None)
        kept = [getattr(cause, name, None) for name in ("cause", "reason")]
        waiting += [info[1], cause.__cause__, cause.__context__]
        waiting += [each for each in kept if isinstance(each, BaseException)]


def _said(error: BaseException, errand: Errand) -> str:
    """In its words, without the address, which may be a key to the film."""
    words = _COLOURS.sub("", str(error)).split("; please report")[0]
    words = _PREFIX.sub("", words).replace(errand.url, "the address")
    return " ".join(words.split())[:200].rstrip(".") + "."


def _refused(message: str) -> StereoSpotError:
    return StereoSpotError(ErrorCode.LINK_REFUSED, message)


def _unreachable(why: str) -> StereoSpotError:
    return StereoSpotError(
        ErrorCode.LINK_UNREACHABLE, f"The site cannot be reached now: {why}"
    )


def _too_large(message: str) -> StereoSpotError:
    return StereoSpotError(ErrorCode.TOO_LARGE, message)


def _larger(errand: Errand) -> str:
    return f"The film is larger than the {errand.most_bytes / 1e9:g} GB that are taken."


def _look_at_connections() -> None:
    """Let no socket of this process connect to an address that is not public.

    Below all libraries, so after every look-up of a name and every redirect.
    """
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def look(sock: socket.socket, address: Any) -> None:
        is_inet = sock.family in (socket.AF_INET, socket.AF_INET6)
        if not is_inet or not is_public(str(address[0])):
            raise PrivateAddressError(f"{address!r} is not public")

    def looked(sock: socket.socket, address: Any) -> None:
        look(sock, address)
        connect(sock, address)

    def looked_ex(sock: socket.socket, address: Any) -> int:
        look(sock, address)
        return connect_ex(sock, address)

    socket.socket.connect = looked  # type: ignore[assignment,method-assign]
    socket.socket.connect_ex = looked_ex  # type: ignore[assignment,method-assign]
