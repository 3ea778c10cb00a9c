"""A prompt → its clip, verified and in the store."""

from __future__ import annotations

import structlog

from apps.jobs import ledger
from apps.pipeline.backends import ClipClaim
from apps.pipeline.infer import infer
from apps.pipeline.leases import Lease, LeaseLostError, recorded
from contract.generation import Generated

log = structlog.get_logger(__name__)


def generate(claim: ClipClaim, lease: Lease) -> Generated:
    """Make the clip, which counts for its owner's month; it is in the store afterwards.

    Raises what `infer` does.
    """
    prompt = claim.prompt
    if not recorded(lambda: ledger.charge(claim.owner, prompt.seconds)):
        raise LeaseLostError
    log.info("generating", frames=prompt.frames, size=f"{prompt.width}×{prompt.height}")
    done = infer(claim, lease)
    if not isinstance(done, Generated):
        raise TypeError("what was made of a prompt is no clip")
    return done
