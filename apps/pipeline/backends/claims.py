"""What a backend makes: the stereo segment of a segment, or the clip of a prompt."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple, TypeAlias

from django.conf import settings

from apps.jobs import ledger, storage
from apps.jobs.models import Invocation, Job, Segment
from apps.pipeline.media.verify import verify_clip, verify_segment
from contract.generation import Generation
from contract.invocation import Conversion
from contract.invocation import Invocation as Request
from contract.keys import RequestKey, StereoSegmentKey
from contract.modes import Engine, StereoMode


class Target(NamedTuple):
    """Where a made object goes."""

    store: storage.Disk | storage.Bucket
    key: str

    @property
    def uri(self) -> str:
        return uri(self.store, self.key)


class _Counted:
    """Work of which it is known how much there is: frames, or steps."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._first: tuple[float, int] | None = None

    def count(self, more: int) -> None:
        """So many more are done; 0 says that it has begun."""
        self.done += more
        self._first = self._first or (time.monotonic(), self.done)

    def remaining(self, elapsed: float) -> float:
        """By the pace since it began, which evens out the bursts that some engines give in;
        what came before, such as loading an engine, comes once."""
        since, at_first = self._first or (0.0, self.done)
        if self.done == at_first:
            return elapsed
        pace = (time.monotonic() - since) / (self.done - at_first)
        return pace * (self.total - self.done)


class SegmentClaim(_Counted):
    """A claimed segment: the engine counts its frames, the lease's renewal records."""

    def __init__(self, segment: Segment) -> None:
        super().__init__(segment.frame_count)
        self.owner = segment

    def renew(self) -> bool:
        return ledger.renew_segment(self.owner, frames_done=self.done)

    def release(self) -> bool:
        return ledger.release_segment(self.owner)

    def pause(self, seconds: int) -> bool:
        """Put it back, for others to go on with in so many seconds."""
        return ledger.pause_segment(self.owner, seconds=seconds)

    @property
    def target(self) -> Target:
        return Target(storage.result(), self.owner.stereo_key)

    @property
    def request_key(self) -> str:
        """Where an endpoint that reads its requests from a bucket finds this one."""
        segment = self.owner
        return str(RequestKey(segment.job_id, segment.index, segment.attempt))

    def request(self) -> Request:
        """The body that asks for the conversion."""
        source, depth = storage.source(), self.owner.depth_key
        return Request.of(
            self.conversion(),
            input_uri=uri(source, self.owner.source_key),
            output_uri=self.target.uri,
            depth_uri=depth and uri(source, depth),
            attempt=self.owner.attempt,
            linger_seconds=settings.INVOCATION_LINGER_SECONDS,
        )

    def conversion(self) -> Conversion:
        job = self.owner.job
        return Conversion(
            mode=StereoMode(job.mode),
            engine=Engine(job.engine),
            settings=job.settings,
            frames=self.owner.get_frames(),
            depth=self.owner.get_depth(),
            picture=job.get_picture(),
            # The film's, for all its segments and attempts: frames that two of them see
            # get the same noise, and a retry gets the noise it had.
            seed=job.pk.int % 2**31,
        )

    def verify(self, path: Path) -> None:
        """What was made, against what was asked for; raises `StereoSpotError`."""
        wanted = self.conversion()
        verify_segment(path, wanted.frames, wanted.picture, wanted.mode)


class ClipClaim(_Counted):
    """A job, claimed to make the clip of its prompt; what makes it counts its steps."""

    def __init__(self, job: Job) -> None:
        prompt = job.get_prompt()
        if prompt is None:
            raise ValueError(f"the job {job.pk} has no prompt")
        super().__init__(prompt.wish.steps)
        self.owner = job
        self.prompt = prompt

    def renew(self) -> bool:
        return ledger.renew_stage(self.owner)

    def release(self) -> bool:
        return ledger.release_stage(self.owner)

    def pause(self, seconds: int) -> bool:
        """Put it back, for others to go on with in so many seconds."""
        return ledger.pause_stage(self.owner, seconds=seconds)

    @property
    def target(self) -> Target:
        return clip_target(self.owner)

    @property
    def request_key(self) -> str:
        """As of a segment."""
        return str(RequestKey(self.owner.pk, None, self.owner.attempt))

    def request(self) -> Generation:
        """The body that asks for the clip."""
        return self.prompt.generation(
            self.target.uri,
            attempt=self.owner.attempt,
            linger_seconds=settings.INVOCATION_LINGER_SECONDS,
        )

    def verify(self, path: Path) -> None:
        """As of a segment."""
        wanted = self.request()
        verify_clip(path, wanted.manifest, wanted.picture)


Claimed: TypeAlias = SegmentClaim | ClipClaim


def clip_target(job: Job) -> Target:
    """The clip is the source of what comes next, or the final where nothing does."""
    if job.is_flat:
        return Target(storage.result(), job.final_key)
    return Target(storage.source(), job.source_key)


def output_uri(invocation: Invocation) -> str:
    """Where what was asked for goes; of a clip's, `job` is needed."""
    if invocation.segment_index is None:
        return clip_target(invocation.job).uri
    key = StereoSegmentKey(invocation.job_id, invocation.segment_index)
    return uri(storage.result(), str(key))


def uri(store: storage.Disk | storage.Bucket, key: str) -> str:
    """Where the object lies, for another process: `file://` or `s3://`."""
    if isinstance(store, storage.Disk):
        return Path(store.path(key)).as_uri()
    return f"s3://{store.bucket_name}/{key}"
