"""Text subtitles as WebVTT, which browsers know: beside a final, for the page's player."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import av
from av.packet import Packet
from av.stream import Discard
from av.subtitles.subtitle import AssSubtitle

from apps.pipeline.media.containers import codec_name
from apps.pipeline.media.film import TEXT
from apps.pipeline.media.tools import media_failure, open_media
from contract.errors import ErrorCode
from contract.keys import MAX_SUBTITLES

MOST_BYTES: Final = 4 << 20
"""Of one track: the words of a film of a day."""
_UNSAID_SECONDS: Final = 5.0
"""That a text stays where the film does not tell."""
_MARK: Final = re.compile(r"\{([^{}]*)\}")
"""How libavcodec spells the style of what follows, as SubStation Alpha does."""
_STYLE: Final = re.compile(r"\\([ibu])([01])(?![\w])")
_DRAWING: Final = re.compile(r"\\p[1-9]")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class _Cue(NamedTuple):
    start: float
    """Seconds, from the film's beginning."""
    end: float
    text: str


def write_subtitles(film: Path, folder: Path) -> list[int]:
    """Write the text tracks of a final as `{number}.vtt`; the numbers of those that say
    something, counted from 0 among all its subtitles. Raises StereoSpotError.
    """
    try:
        with open_media(film) as container:
            tracks: dict[int, list[_Cue]] = {
                stream.index: [] for stream in container.streams.subtitles
            }
            wanted = [
                stream
                for stream in container.streams.subtitles[:MAX_SUBTITLES]
                if codec_name(stream) in TEXT
            ]
            for stream in container.streams.get():
                if stream not in wanted:
                    stream.discard = Discard.all
            for packet in container.demux(*wanted) if wanted else ():
                # Those that flush have neither.
                if packet.size and packet.pts is not None:
                    tracks[packet.stream_index] += _cues(packet, packet.pts)
    except av.error.FFmpegError as error:
        raise media_failure(
            error, ErrorCode.OUTPUT_INVALID, "Its subtitles could not be read"
        ) from error
    written = []
    for number, cues in enumerate(tracks.values()):
        content = _webvtt(cues).encode()
        if cues and len(content) <= MOST_BYTES:
            (folder / f"{number}.vtt").write_bytes(content)
            written.append(number)
    return written


def _cues(packet: Packet[Any], pts: int) -> Iterator[_Cue]:
    try:
        found = cast(Iterable[object], packet.decode())
    except (av.error.FFmpegError, UnicodeDecodeError):
        return  # a text that is none, as in another alphabet than it says
    start = max(0.0, float(pts * packet.time_base))
    lasting = float((packet.duration or 0) * packet.time_base) or _UNSAID_SECONDS
    for each in found:
        if isinstance(each, AssSubtitle):
            text = as_cue(each.dialogue.decode(errors="replace"))
            if text:
                yield _Cue(start, start + lasting, text)


def as_cue(dialogue: str) -> str:
    """The text of a cue: slanted, bold and underlined as it was, and nothing else of its
    style. Empty for a drawing."""
    if any(_DRAWING.search(mark) for mark in _MARK.findall(dialogue)):
        return ""
    pieces = _MARK.split(dialogue)
    # Every other piece is a mark.
    words = [
        _tags(piece) if number % 2 else _words(piece)
        for number, piece in enumerate(pieces)
    ]
    # An empty line would end the cue.
    return re.sub(r"\n\s*\n", "\n", "".join(words)).strip()


def _words(piece: str) -> str:
    lines = piece.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", "\u00a0")
    return html.escape(_CONTROL.sub(" ", lines), quote=False)


def _tags(mark: str) -> str:
    return "".join(
        f"<{kind}>" if is_on == "1" else f"</{kind}>"
        for kind, is_on in _STYLE.findall(mark)
    )


def _webvtt(cues: list[_Cue]) -> str:
    blocks = [
        f"{_clock(cue.start)} --> {_clock(cue.end)}\n{cue.text}\n"
        for cue in sorted(cues)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _clock(seconds: float) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}.{thousandths:03}"
