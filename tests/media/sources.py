"""Odd but ordinary films, a few seconds each; every frame carries its own number.

The number is a bar code in the picture, so that a test can tell which frames came out
of a converter, and not only how many. Scenes change at `SHOTS`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import ffmpeg
import numpy as np

from apps.pipeline.media.tools import find_ffmpeg

SIZE = (256, 144)
SHOTS = (0, 29, 53, 84)
FRAMES = 96

_BITS = 12
_BAR = 16
_TOP = 8

RECIPES: dict[str, Callable[[Path], Path]] = {}


def bar_code(frame: av.VideoFrame, rotation: int = 0) -> int:
    """The number that the picture shows; of a stereo picture, the left eye's.

    `rotation` is the clockwise turn that the picture has had.
    """
    deep = frame.format.components[0].bits > 8
    plane = frame.planes[0]
    luma = np.frombuffer(plane, np.uint16 if deep else np.uint8)
    luma = luma.reshape(plane.height, -1)[:, : frame.width]
    luma = np.rot90(luma, rotation // 90)
    middle = 128 << (frame.format.components[0].bits - 8)
    strip = luma[_TOP + 4 : _TOP + 12]
    return sum(
        1 << bit
        for bit in range(_BITS)
        if strip[:, _TOP + bit * _BAR + 4 : _TOP + bit * _BAR + 12].mean() > middle
    )


def pictures(size: tuple[int, int] = SIZE, count: int = FRAMES) -> Iterator[bytes]:
    """Raw yuv420p frames."""
    width, height = size
    chroma = ((width + 1) // 2) * ((height + 1) // 2)
    texture, shade = np.zeros((height, 2 * width), np.uint8), 0
    for number in range(count):
        if number in SHOTS:
            texture, shade = _scene(number, size)
        shift = (number * 2) % width
        luma = texture[:, shift : shift + width].copy()
        for bit in range(_BITS):
            left = _TOP + bit * _BAR
            luma[_TOP : _TOP + _BAR, left : left + _BAR] = (
                235 if number >> bit & 1 else 16
            )
        yield luma.tobytes() + bytes([shade]) * chroma + bytes([256 - shade]) * chroma


def _scene(seed: int, size: tuple[int, int]) -> tuple[np.ndarray, int]:
    random = np.random.default_rng(seed)
    width, height = size
    coarse = random.integers(30, 220, (height // 16 + 1, width // 8 + 1), np.uint8)
    texture = coarse.repeat(16, 0).repeat(16, 1)[:height, : 2 * width]
    return texture, int(random.integers(90, 170))


def recipe(function: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Register a source under its name, spelled as words."""
    RECIPES[function.__name__.replace("_", " ")] = function
    return function


def film(
    target: Path,
    *streams: Any,
    rate: str = "25",
    size: tuple[int, int] = SIZE,
    count: int = FRAMES,
    filters: tuple[tuple[str, str], ...] = (),
    **options: Any,
) -> Path:
    """Encode the numbered pictures with further streams into a file."""
    video = ffmpeg.input(
        "pipe:", f="rawvideo", pix_fmt="yuv420p", s="{}x{}".format(*size), r=rate
    ).video
    for name, argument in filters:
        video = video.filter(name, argument)
    if "c:v" not in options:
        options = {"c:v": "libx264", "preset": "ultrafast", "bf": 2, "g": 24} | options
    command = ffmpeg.output(video, *streams, str(target), threads=2, **options)
    run(command, b"".join(pictures(size, count)))
    return target


def run(command: Any, data: bytes = b"") -> None:
    arguments = command.global_args("-v", "error", "-y")
    arguments.run(cmd=find_ffmpeg(), input=data, quiet=True)


def tone(seconds: float = 4, **options: Any) -> Any:
    """Sound that never repeats, so that a shift cannot hide."""
    sweep = f"aevalsrc=0.2*sin(2*PI*(300+40*t)*t)|0.2*sin(2*PI*(900-9*t)*t):s=48000:d={seconds}"
    return ffmpeg.input(sweep, f="lavfi", **options).audio


def noise(seconds: float = 4) -> Any:
    return ffmpeg.input(f"anoisesrc=c=pink:a=0.2:r=48000:d={seconds}", f="lavfi").audio


AAC = {"c:a": "aac"}
HDR10 = (
    "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:hdr10=1:repeat-headers=1:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
    "L(10000000,1):max-cll=1000,400"
)


@recipe
def closed_gops_at_29_97(folder: Path) -> Path:
    target = folder / "closed.mp4"
    return film(
        target, tone(), rate="30000/1001", bf=3, **{"x264-params": "scenecut=0"}, **AAC
    )


@recipe
def open_gops(folder: Path) -> Path:
    target = folder / "open.mp4"
    options = {"bf": 3, "x264-params": "open-gop=1:scenecut=0"}
    return film(target, tone(), rate="30000/1001", **options, **AAC)


@recipe
def sparse_keyframes(folder: Path) -> Path:
    target = folder / "sparse.mp4"
    options = {"g": 48, "keyint_min": 48, "sc_threshold": 0}
    return film(target, tone(), rate="24000/1001", **options, **AAC)


@recipe
def one_keyframe(folder: Path) -> Path:
    target = folder / "onekey.mp4"
    return film(target, tone(), rate="30", g=9999, sc_threshold=0, **AAC)


@recipe
def variable_frame_rate_with_a_gap(folder: Path) -> Path:
    jitter = "N*3000+floor(1200*random(1))+if(gt(N,60),90000,0)"
    return film(
        folder / "vfr.mp4",
        tone(6),
        rate="30",
        filters=(("settb", "1/90000"), ("setpts", jitter)),
        enc_time_base="1/90000",
        fps_mode="passthrough",
        video_track_timescale=90000,
        **AAC,
    )


@recipe
def sixty_frames_a_second_with_opus_in_mkv(folder: Path) -> Path:
    return film(folder / "60.mkv", tone(2), rate="60", **{"c:a": "libopus"})


@recipe
def an_mkv_with_everything(folder: Path) -> Path:
    plain = film(
        folder / "plain.mkv",
        tone(),
        noise(),
        noise(),
        rate="24000/1001",
        **{"x264-params": "open-gop=1"},
        **{"c:a:0": "aac", "c:a:1": "ac3", "c:a:2": "flac"},
    )
    texts = _texts(folder)
    (folder / "font.ttf").write_bytes(bytes(2000))
    return _muxed(
        folder / "everything.mkv",
        [plain, *texts],
        ["-map", "0", "-map", "1", "-map", "2", "-map_chapters", "3"],
        ["-map_metadata", "3", "-c:s:0", "srt", "-c:s:1", "ass"],
        ["-attach", str(folder / "font.ttf")],
        ["-metadata:s:t", "mimetype=application/x-truetype-font"],
        ["-metadata:s:a:1", "language=ger"],
    )


@recipe
def an_mp4_with_everything(folder: Path) -> Path:
    plain = film(folder / "plain.mp4", tone(), noise(), **AAC)
    subtitles, _, chapters = _texts(folder)
    cover = folder / "cover.png"
    run(ffmpeg.input("color=red:s=64x96", f="lavfi").output(str(cover), vframes=1))
    return _muxed(
        folder / "everything.mp4",
        [plain, subtitles, chapters, cover],
        ["-map", "3", "-map", "0", "-map", "1", "-map_chapters", "2"],
        ["-map_metadata", "2", "-c:s", "mov_text"],
        ["-disposition:v:0", "attached_pic"],
    )


@recipe
def ten_bit_hevc_with_open_gops(folder: Path) -> Path:
    params = "log-level=error:keyint=24:min-keyint=24:open-gop=1:bframes=4:scenecut=0"
    return film(
        folder / "hevc.mp4",
        tone(),
        rate="24000/1001",
        **_x265(params) | AAC | {"tag:v": "hvc1"},
    )


@recipe
def hdr10_in_mkv(folder: Path) -> Path:
    params = f"log-level=error:keyint=24:open-gop=1:{HDR10}"
    return film(folder / "hdr.mkv", tone(), **_x265(params) | {"c:a": "ac3"})


@recipe
def a_phone_held_upright(folder: Path) -> Path:
    plain = film(folder / "plain.mp4", tone(), rate="30", **AAC)
    # PyAV alone: versions of ffmpeg differ in the option that turns a film.
    target = folder / "rotated.mov"
    with av.open(str(plain)) as given, av.open(str(target), "w") as made:
        copies = {
            stream.index: made.add_stream_from_template(stream, opaque=True)
            for stream in given.streams
        }
        copies[0].set_display_rotation(90)
        for packet in given.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                made.mux(packet)
    plain.unlink()
    return target


@recipe
def vp9_of_odd_size(folder: Path) -> Path:
    options = {
        "c:v": "libvpx-vp9",
        "b:v": "600k",
        "deadline": "realtime",
        "cpu-used": 8,
        "auto-alt-ref": 1,
        "lag-in-frames": 16,
        "g": 30,
        "c:a": "libopus",
    }
    return film(folder / "odd.webm", tone(), size=(253, 143), **options)


@recipe
def interlaced_broadcast(folder: Path) -> Path:
    options = {"flags": "+ilme+ildct", "x264-params": "tff=1:open-gop=1", "c:a": "mp2"}
    return film(folder / "interlaced.ts", tone(), **options)


@recipe
def no_sound(folder: Path) -> Path:
    return film(folder / "silent.mp4", rate="30")


@recipe
def sound_that_starts_late(folder: Path) -> Path:
    return film(folder / "latesound.mp4", tone(3, itsoffset=0.73), **AAC)


@recipe
def picture_that_starts_late(folder: Path) -> Path:
    plain = film(folder / "plain.mp4")
    late = ffmpeg.input(str(plain), itsoffset=0.613).video
    target = folder / "latepicture.mp4"
    run(ffmpeg.output(late, tone(), str(target), **{"c:v": "copy"} | AAC))
    return target


@recipe
def an_edit_list_that_hides_the_beginning(folder: Path) -> Path:
    options = {"bf": 3, "g": 40, "sc_threshold": 0} | AAC
    plain = film(folder / "plain.mp4", tone(), rate="30000/1001", **options)
    begun = ffmpeg.input(str(plain), ss=0.77)
    target = folder / "edited.mp4"
    run(ffmpeg.output(begun, str(target), c="copy", t=2))
    return target


@recipe
def prores_with_timecode_and_pcm(folder: Path) -> Path:
    return film(
        folder / "prores.mov",
        tone(),
        rate="24",
        timecode="01:00:00:00",
        **{"c:v": "prores_ks", "profile:v": 0, "c:a": "pcm_s24le"},
    )


@recipe
def anamorphic_pixels(folder: Path) -> Path:
    filters = (("setsar", "64/45"),)
    return film(folder / "wide.mkv", tone(), filters=filters, **{"c:a": "ac3"})


@recipe
def a_transport_stream_with_open_gops(folder: Path) -> Path:
    options = {"bf": 3, "x264-params": "open-gop=1"} | AAC
    return film(folder / "open.ts", tone(), rate="30000/1001", **options)


@recipe
def an_avi_with_b_frames(folder: Path) -> Path:
    options = {"c:v": "mpeg4", "q:v": 3, "bf": 2, "g": 30, "c:a": "libmp3lame"}
    return film(folder / "b.avi", tone(), **options)


@recipe
def av1(folder: Path) -> Path:
    options = {"c:v": "libsvtav1", "preset": 8, "crf": 8, "g": 40} | AAC
    return film(folder / "av1.mp4", tone(), rate="24", **options)


@recipe
def intra_refresh_instead_of_keyframes(folder: Path) -> Path:
    options = {"g": 30, "bf": 0, "x264-params": "intra-refresh=1"} | AAC
    return film(folder / "refresh.mp4", tone(), rate="30", **options)


@recipe
def mpeg_2_broadcast(folder: Path) -> Path:
    options = {"c:v": "mpeg2video", "b:v": "2M", "bf": 2, "g": 15, "c:a": "mp2"}
    return film(folder / "mpeg2.ts", tone(), **options)


@recipe
def a_fragmented_mp4(folder: Path) -> Path:
    flags = "frag_keyframe+empty_moov+default_base_moof"
    target = folder / "fragmented.mp4"
    return film(target, tone(), rate="30000/1001", bf=3, movflags=flags, **AAC)


@recipe
def a_single_frame(folder: Path) -> Path:
    return film(folder / "one.mp4", count=1)


@recipe
def a_recording_that_begins_inside_a_group_of_pictures(folder: Path) -> Path:
    options = {"bf": 3, "x264-params": "open-gop=1"} | AAC
    return _recorded(film(folder / "whole.ts", tone(), **options))


@recipe
def an_mpeg_2_recording_that_begins_inside_a_group(folder: Path) -> Path:
    options = {"c:v": "mpeg2video", "b:v": "2M", "bf": 2, "g": 15, "c:a": "mp2"}
    return _recorded(film(folder / "whole.ts", tone(), **options))


@recipe
def an_hevc_recording_that_begins_inside_a_group(folder: Path) -> Path:
    params = "log-level=error:keyint=24:open-gop=1:bframes=4"
    return _recorded(film(folder / "whole.ts", tone(), **_x265(params) | AAC))


@recipe
def huffyuv_that_no_segment_object_stores(folder: Path) -> Path:
    options = {"c:v": "huffyuv", "pix_fmt": "yuv422p", "c:a": "pcm_s16le"}
    return film(folder / "huff.avi", tone(), rate="30000/1001", **options)


@recipe
def vp8_with_hidden_frames(folder: Path) -> Path:
    options = {
        "c:v": "libvpx",
        "b:v": "900k",
        "deadline": "realtime",
        "cpu-used": 8,
        "auto-alt-ref": 1,
        "lag-in-frames": 16,
        "c:a": "libvorbis",
    }
    return film(folder / "vp8.webm", tone(), **options)


@recipe
def a_dvd_program_stream(folder: Path) -> Path:
    options = {"c:v": "mpeg2video", "b:v": "2M", "bf": 2, "g": 12, "c:a": "ac3"}
    return film(folder / "dvd.vob", tone(), **options)


@recipe
def open_gops_without_recovery_points(folder: Path) -> Path:
    options = {
        "bf": 3,
        "x264-params": "open-gop=1",
        "bsf:v": "filter_units=remove_types=6",
    }
    return film(folder / "bare.mkv", tone(), **options, **AAC)


def _x265(params: str) -> dict[str, Any]:
    return {
        "c:v": "libx265",
        "preset": "ultrafast",
        "pix_fmt": "yuv420p10le",
        "x265-params": params,
    }


def _recorded(whole: Path) -> Path:
    """The later part of a broadcast, from wherever the recorder was switched on."""
    target = whole.with_name("recording.ts")
    data = whole.read_bytes()
    # Transport streams consist of packets of 188 bytes.
    target.write_bytes(data[len(data) // 3 // 188 * 188 :])
    whole.unlink()
    return target


def _texts(folder: Path) -> tuple[Path, Path, Path]:
    """Subtitles in two formats, and chapters."""
    srt, ass, chapters = (folder / name for name in ("s.srt", "s.ass", "chapters.txt"))
    srt.write_text(
        "".join(
            f"{n + 1}\n00:00:0{n},100 --> 00:00:0{n},900\nline {n}\n\n"
            for n in range(3)
        )
    )
    ass.write_text(
        "[Script Info]\nScriptType: v4.00+\n[V4+ Styles]\nFormat: Name, Fontname\n"
        "Style: Default,Arial\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        + "".join(
            f"Dialogue: 0,0:00:0{n}.10,0:00:0{n}.90,Default,,0,0,0,,line {n}\n"
            # Two speak at once.
            for n in (0, 1, 1, 2)
        )
    )
    chapters.write_text(
        ";FFMETADATA1\ntitle=A title\n"
        + "".join(
            f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle=Part {start}\n"
            for start, end in ((0, 1234), (1234, 2500), (2500, 3800))
        )
    )
    return srt, ass, chapters


def _muxed(target: Path, inputs: list[Path], *options: list[str]) -> Path:
    """Put several files into one; ffmpeg-python has no inputs without streams."""
    given = [word for path in inputs for word in ("-i", str(path))]
    told = [word for words in options for word in words]
    command = [find_ffmpeg(), "-v", "error", "-y", *given, "-c", "copy", *told]
    subprocess.run([*command, str(target)], check=True)
    return target
