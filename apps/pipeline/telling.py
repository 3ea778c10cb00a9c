"""Tell a notice: claim it, hand it to its channel, record what came of it."""

from __future__ import annotations

from uuid import UUID

import structlog

from apps.jobs import ledger
from apps.pipeline.channels import CHANNELS
from apps.pipeline.channels.untold import UntoldError
from apps.pipeline.leases import recorded

log = structlog.get_logger(__name__)


def tell(notice_id: UUID) -> bool:
    """One attempt; whether it was told. What was lost the sweep asks for again."""
    notice = recorded(lambda: ledger.claim_notice(notice_id))
    if notice is None:
        return False
    try:
        answer = CHANNELS[notice.subscription.channel](notice)
    except UntoldError as error:
        why, gone = str(error), error.gone
        recorded(lambda: ledger.note_untold(notice, why, gone=gone))
        return False
    except Exception:
        log.exception("could not tell", notice_id=str(notice_id))
        ours = "An error of ours: it is in the log."
        recorded(lambda: ledger.note_untold(notice, ours))
        return False
    return recorded(lambda: ledger.note_told(notice, answer))
