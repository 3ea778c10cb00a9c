"""Which containers take which streams, answered by the muxers themselves."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, Final, Literal, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Stream

from apps.pipeline.media.tools import is_cover

Extension = Literal["mp4", "mov", "mkv"]

MUXERS: Final[dict[Extension, str]] = {"mp4": "mp4", "mov": "mov", "mkv": "matroska"}
"""Containers of a final with their libavformat names, the most widely played first."""


def final_extension(container: InputContainer) -> Extension:
    """The first container into which every stream besides the video can be copied.

    Matroska where there is none, because it takes most; see `companions`.
    """
    wanted = [stream for stream in container.streams if _is_companion(stream)]
    for extension, muxer in MUXERS.items():
        if extension != "mkv" and any(s.type == "attachment" for s in wanted):
            continue
        if extension == "mp4" and any(_is_pcm(stream) for stream in wanted):
            # Legal since ISO/IEC 23003-5, but few players know it; mov they do.
            continue
        if takes(muxer, wanted):
            return extension
    return "mkv"


def companions(container: InputContainer, extension: Extension) -> list[Stream]:
    """Audio, subtitles and attachments: what a final can copy from the source."""
    return [
        stream
        for stream in container.streams
        if _is_companion(stream)
        and (extension == "mkv" or stream.type != "attachment")
        and takes(MUXERS[extension], [stream])
    ]


def sound_streams(container: InputContainer) -> list[AudioStream]:
    """Sound tracks, without those that a broadcast announces and never sends."""
    return [s for s in container.streams.audio if _is_companion(s)]


def as_extension(text: str) -> Extension:
    """The extension that a text is; raises ValueError for a final we do not make."""
    for extension in MUXERS:
        if extension == text:
            return extension
    raise ValueError(f"no final ends in {text!r}")


def takes(muxer: str, streams: Iterable[Stream]) -> bool:
    """Whether a muxer would write a file with just these streams, copied unchanged."""
    templates = [stream for stream in streams if stream.type != "attachment"]
    if not templates:
        return True
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as output:
            for template in templates:
                output.add_stream_from_template(template, opaque=True)
            output.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def copy_stream(output: OutputContainer, template: Stream) -> Stream:
    """Add a stream like the template's, with its tags and disposition."""
    if isinstance(template, AttachmentStream):
        return output.add_attachment(
            template.name or "attachment",
            template.mimetype or "application/octet-stream",
            template.data,
        )
    stream = output.add_stream_from_template(template, opaque=True)
    stream.metadata.update(template.metadata)
    stream.disposition = template.disposition
    return stream


def covers(container: InputContainer) -> list[Stream]:
    """Stills that accompany the film."""
    return [stream for stream in container.streams.video if is_cover(stream)]


def codec_name(stream: Stream) -> str:
    """The codec's name, not its decoder's; 'unknown' where there is no decoder."""
    # The type stubs promise a context, but streams without a decoder have none.
    context = cast(Any, stream.codec_context)
    return "unknown" if context is None else str(context.codec.canonical_name)


def _is_companion(stream: Stream) -> bool:
    if isinstance(stream, AudioStream):
        context = cast(AudioCodecContext | None, stream.codec_context)
        # Without a decoder we cannot tell, so such sound counts.
        return context is None or context.sample_rate > 0
    return stream.type in ("subtitle", "attachment")


def _is_pcm(stream: Stream) -> bool:
    return codec_name(stream).startswith("pcm_")
