"""Every object key the system reads or writes, spelled here and nowhere else.

source bucket
    input/{job_id}/source.{ext}                            browser, ingest, inference
    input/{job_id}/depth.{ext}                                                browser
    input/{job_id}/image.{ext}                            who wants a clip made of it
    drop/{username}/[{mode}/]{name}                                  who brings films
    segments/{job_id}/{segment_index:05d}_{total_segments:05d}_{mode}.mp4       chunk
    segments/{job_id}/{segment_index:05d}_{total_segments:05d}_depth.mp4        chunk
    segments/{job_id}/{segment_index:05d}_{attempt}.json                        infer
    segments/{job_id}/clip_{attempt}.json                                    generate
result bucket
    jobs/{job_id}/segments/{segment_index}.mp4                              inference
    jobs/{job_id}/final.{ext}                                       concat, inference
    jobs/{job_id}/subtitles/{number}.vtt                                       concat
story bucket
    {parent_id}/{task_id}[-{index}].mp4                                      hand over

Builders raise `ValueError` on what cannot be a key. Parsers take keys from outside
(events, listings) and answer ``None`` for anything that is not exactly one of ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeGuard
from uuid import UUID

from contract.modes import StereoMode

MAX_SEGMENTS, MAX_SUBTITLES = 99_999, 100
"""Five digits in the key of a segment, two in that of a text track."""

_UUID = r"(?P<job_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_EXTENSION = r"(?P<extension>[a-z0-9]{1,8})"
_SOURCE = re.compile(rf"input/{_UUID}/source\.{_EXTENSION}", re.ASCII)
_DEPTH = re.compile(rf"input/{_UUID}/depth\.{_EXTENSION}", re.ASCII)
_IMAGE = re.compile(rf"input/{_UUID}/image\.{_EXTENSION}", re.ASCII)
_MODE = rf"(?P<mode>{'|'.join(StereoMode)})"
_DROP = re.compile(
    rf"drop/(?P<username>[\w.@+-]{{1,150}})/(?:{_MODE}/)?(?P<name>[^/\x00]{{1,255}})"
)
"""Names of people are as Django takes them."""
_PLACE = rf"segments/{_UUID}/(?P<index>\d{{5}})_(?P<total>\d{{5}})"
_SEGMENT = re.compile(rf"{_PLACE}_{_MODE}\.mp4", re.ASCII)
_DEPTH_SEGMENT = re.compile(rf"{_PLACE}_depth\.mp4", re.ASCII)
_REQUEST = re.compile(
    rf"segments/{_UUID}/(?P<index>\d{{5}}|clip)_(?P<attempt>0|[1-9]\d{{0,8}})\.json",
    re.ASCII,
)
_STEREO_SEGMENT = re.compile(
    rf"jobs/{_UUID}/segments/(?P<index>0|[1-9]\d{{0,4}})\.mp4", re.ASCII
)
_STORY_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_WORDS = re.compile(rf"jobs/{_UUID}/subtitles/(?P<number>0|[1-9]\d?)\.vtt", re.ASCII)
_FINAL = re.compile(rf"jobs/{_UUID}/final\.{_EXTENSION}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SourceKey:
    job_id: UUID
    extension: str = "mp4"

    def __str__(self) -> str:
        return f"{sources_prefix(self.job_id)}source.{_extension(self.extension)}"

    @classmethod
    def parse(cls, key: str) -> SourceKey | None:
        match = _SOURCE.fullmatch(key)
        return match and cls(UUID(match["job_id"]), match["extension"])


@dataclass(frozen=True, slots=True)
class DepthKey:
    """The depth video that a person brought beside the film."""

    job_id: UUID
    extension: str = "mp4"

    def __str__(self) -> str:
        return f"{sources_prefix(self.job_id)}depth.{_extension(self.extension)}"

    @classmethod
    def parse(cls, key: str) -> DepthKey | None:
        match = _DEPTH.fullmatch(key)
        return match and cls(UUID(match["job_id"]), match["extension"])


@dataclass(frozen=True, slots=True)
class ImageKey:
    """The picture that a clip is to begin with."""

    job_id: UUID
    extension: str = "png"

    def __str__(self) -> str:
        return f"{sources_prefix(self.job_id)}image.{_extension(self.extension)}"

    @classmethod
    def parse(cls, key: str) -> ImageKey | None:
        match = _IMAGE.fullmatch(key)
        return match and cls(UUID(match["job_id"]), match["extension"])


@dataclass(frozen=True, slots=True)
class DropKey:
    """A film that was put into a person's drop folder, to be converted in a mode."""

    username: str
    name: str
    mode: StereoMode | None = None

    def __str__(self) -> str:
        folder = f"{self.mode}/" if self.mode else ""
        key = f"drop/{self.username}/{folder}{self.name}"
        if DropKey.parse(key) != self:
            raise ValueError(f"{key!r} is no key of a drop folder")
        return key

    @classmethod
    def parse(cls, key: str) -> DropKey | None:
        match = _DROP.fullmatch(key)
        if match is None:
            return None
        mode = match["mode"]
        return cls(
            match["username"], match["name"], (mode and StereoMode(mode)) or None
        )


@dataclass(frozen=True, slots=True)
class SegmentKey:
    job_id: UUID
    index: int
    total: int
    mode: StereoMode

    def __str__(self) -> str:
        return f"{_place(self.job_id, self.index, self.total)}_{self.mode}.mp4"

    @classmethod
    def parse(cls, key: str) -> SegmentKey | None:
        match = _SEGMENT.fullmatch(key)
        if match is None or int(match["index"]) >= int(match["total"]):
            return None
        return cls(
            UUID(match["job_id"]),
            int(match["index"]),
            int(match["total"]),
            StereoMode(match["mode"]),
        )


@dataclass(frozen=True, slots=True)
class DepthSegmentKey:
    """The depth of one segment, where a person brought the depth."""

    job_id: UUID
    index: int
    total: int

    def __str__(self) -> str:
        return f"{_place(self.job_id, self.index, self.total)}_depth.mp4"

    @classmethod
    def parse(cls, key: str) -> DepthSegmentKey | None:
        match = _DEPTH_SEGMENT.fullmatch(key)
        if match is None or int(match["index"]) >= int(match["total"]):
            return None
        return cls(UUID(match["job_id"]), int(match["index"]), int(match["total"]))


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What an asynchronous endpoint is asked to do with one segment, or for a clip."""

    job_id: UUID
    index: int | None
    """None: it is to make the clip of the job's prompt."""
    attempt: int

    def __str__(self) -> str:
        is_known = self.index is None or 0 <= self.index < MAX_SEGMENTS
        if not (is_known and 0 <= self.attempt < 10**9):
            raise ValueError(f"attempt {self.attempt} of {self.index} has no key")
        what = "clip" if self.index is None else f"{self.index:05d}"
        return f"{segments_prefix(self.job_id)}{what}_{self.attempt}.json"

    @classmethod
    def parse(cls, key: str) -> RequestKey | None:
        match = _REQUEST.fullmatch(key)
        if match is None:
            return None
        index = None if match["index"] == "clip" else int(match["index"])
        if index is not None and index >= MAX_SEGMENTS:
            return None
        return cls(UUID(match["job_id"]), index, int(match["attempt"]))


@dataclass(frozen=True, slots=True)
class StereoSegmentKey:
    job_id: UUID
    index: int

    def __str__(self) -> str:
        if not 0 <= self.index < MAX_SEGMENTS:
            raise ValueError(f"segment {self.index} has no key")
        return f"{stereo_segments_prefix(self.job_id)}{self.index}.mp4"

    @classmethod
    def parse(cls, key: str) -> StereoSegmentKey | None:
        match = _STEREO_SEGMENT.fullmatch(key)
        if match is None or int(match["index"]) >= MAX_SEGMENTS:
            return None
        return cls(UUID(match["job_id"]), int(match["index"]))


@dataclass(frozen=True, slots=True)
class FinalKey:
    job_id: UUID
    extension: str = "mp4"

    def __str__(self) -> str:
        return f"jobs/{self.job_id}/final.{_extension(self.extension)}"

    @classmethod
    def parse(cls, key: str) -> FinalKey | None:
        match = _FINAL.fullmatch(key)
        return match and cls(UUID(match["job_id"]), match["extension"])


@dataclass(frozen=True, slots=True)
class StoryKey:
    """A clip, where the producer of Story IV looks for it; of several the index'th."""

    parent_id: str
    task_id: str
    index: int | None = None

    def __str__(self) -> str:
        if not (is_story_id(self.parent_id) and is_story_id(self.task_id)):
            raise ValueError(f"{self.parent_id!r}, {self.task_id!r} are no ids")
        nth = "" if self.index is None else f"-{self.index}"
        return f"{self.parent_id}/{self.task_id}{nth}.mp4"


def is_story_id(value: object) -> TypeGuard[str]:
    """Whether a producer may call a story or a task so."""
    return isinstance(value, str) and _STORY_ID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class SubtitleKey:
    """A text track of the final as WebVTT, by its number among all its subtitles."""

    job_id: UUID
    number: int

    def __str__(self) -> str:
        if not 0 <= self.number < MAX_SUBTITLES:
            raise ValueError(f"subtitles {self.number} have no key")
        return f"{results_prefix(self.job_id)}subtitles/{self.number}.vtt"

    @classmethod
    def parse(cls, key: str) -> SubtitleKey | None:
        match = _WORDS.fullmatch(key)
        return match and cls(UUID(match["job_id"]), int(match["number"]))


def sources_prefix(job_id: UUID) -> str:
    """What a person brought, in the source bucket."""
    return f"input/{job_id}/"


def segments_prefix(job_id: UUID) -> str:
    """What segments are made from and asked by, in the source bucket."""
    return f"segments/{job_id}/"


def results_prefix(job_id: UUID) -> str:
    """Everything made for a job, in the result bucket."""
    return f"jobs/{job_id}/"


def stereo_segments_prefix(job_id: UUID) -> str:
    """What inference wrote of a job, in the result bucket."""
    return f"jobs/{job_id}/segments/"


def _place(job_id: UUID, index: int, total: int) -> str:
    if not 0 <= index < total <= MAX_SEGMENTS:
        raise ValueError(f"segment {index} of {total} has no key")
    return f"{segments_prefix(job_id)}{index:05d}_{total:05d}"


def _extension(extension: str) -> str:
    if not re.fullmatch(_EXTENSION, extension):
        raise ValueError(f"{extension!r} is no file extension")
    return extension
