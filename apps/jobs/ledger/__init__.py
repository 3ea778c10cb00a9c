"""Every change of status, and the only package that makes one.

Each function is one transaction, or one statement, and records one fact. SQS delivers a
message at least once, so a second caller is normal: each function filters on the state that
it comes from (and on the attempt) and answers whether *this* caller made the change.

Lock order: the job's row, then its segments' rows. What all workers of a job do, claiming a
segment and finishing it, keeps none of them waiting for the others. Nothing slow happens in
here, and no message goes out: callers send after the commit, and the sweep sends what they
lost.
"""

from apps.jobs.ledger.dead_letters import bury, settle, unsettle
from apps.jobs.ledger.invocations import (
    close_invocation,
    hasten,
    hasten_clip,
    is_wanted,
    note_accepted,
    note_over,
    note_waiting,
    open_invocation,
    pause_segment,
    sent_before,
    unattended_invocations,
    unwanted_invocations,
)
from apps.jobs.ledger.notices import (
    claim_notice,
    forget_notices,
    note_told,
    note_untold,
    unsubscribe,
)
from apps.jobs.ledger.people import cancel, delete, fetch, recut, retry, start
from apps.jobs.ledger.quotas import Quota, charge, create, quota_of
from apps.jobs.ledger.rows import DELIVERY, Refused, Retry, is_alive
from apps.jobs.ledger.segments import (
    claim_segment,
    fail_segment,
    finish_segment,
    reassemble_when_done,
    release_segment,
    renew_segment,
)
from apps.jobs.ledger.stages import (
    Cut,
    claim_stage,
    convert_again,
    fail_stage,
    finish_chunk,
    finish_concat,
    finish_generate,
    finish_ingest,
    pause_stage,
    record_plan,
    release_stage,
    renew_stage,
)
from apps.jobs.ledger.upkeep import (
    abandon,
    begin_afresh,
    expire_segment,
    expire_stage,
    note_delivered,
    note_sent,
    note_tidied,
    note_tidying,
)
from apps.jobs.ledger.uploads import delete_waiting, note_arrived, take_back
from apps.jobs.ledger.video_tasks import (
    begin_video_task,
    claim_handover,
    complete_video_task,
    note_handed_over,
    note_not_handed_over,
    refuse_video_task,
)

__all__ = [
    "DELIVERY",
    "Cut",
    "Quota",
    "Refused",
    "Retry",
    "abandon",
    "begin_afresh",
    "begin_video_task",
    "bury",
    "cancel",
    "charge",
    "claim_handover",
    "claim_notice",
    "claim_segment",
    "claim_stage",
    "close_invocation",
    "complete_video_task",
    "convert_again",
    "create",
    "delete",
    "delete_waiting",
    "expire_segment",
    "expire_stage",
    "fail_segment",
    "fail_stage",
    "fetch",
    "finish_chunk",
    "finish_concat",
    "finish_generate",
    "finish_ingest",
    "finish_segment",
    "forget_notices",
    "hasten",
    "hasten_clip",
    "is_alive",
    "is_wanted",
    "note_accepted",
    "note_arrived",
    "note_delivered",
    "note_handed_over",
    "note_not_handed_over",
    "note_over",
    "note_sent",
    "note_tidied",
    "note_tidying",
    "note_told",
    "note_untold",
    "note_waiting",
    "open_invocation",
    "pause_segment",
    "pause_stage",
    "quota_of",
    "reassemble_when_done",
    "record_plan",
    "recut",
    "refuse_video_task",
    "release_segment",
    "release_stage",
    "renew_segment",
    "renew_stage",
    "retry",
    "sent_before",
    "settle",
    "start",
    "take_back",
    "unattended_invocations",
    "unsettle",
    "unsubscribe",
    "unwanted_invocations",
]
