"""A part of a chord returns: one statement, and the chord's row is locked for no longer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import states
from django.db import connections, router

from apps.pipeline.models import Chord

_ADD = """
WITH told AS (
    SELECT task_id, state FROM unnest(%(ids)s::text[], %(states)s::text[])
    AS told (task_id, state)
    WHERE EXISTS (
        SELECT FROM pipeline_chord WHERE group_id = %(group)s AND state = 'waiting'
    )
), added AS (
    INSERT INTO pipeline_chordpart (chord_id, task_id, state)
    SELECT %(group)s, task_id, state FROM told
    ON CONFLICT (chord_id, task_id) DO NOTHING
    RETURNING task_id
), succeeded AS (
    UPDATE pipeline_chordpart part SET state = %(success)s FROM told
    WHERE part.chord_id = %(group)s AND part.task_id = told.task_id
    AND told.state = %(success)s AND part.state <> %(success)s
), new AS (
    SELECT count(*) AS parts FROM added
)
UPDATE pipeline_chord SET
    remaining = CASE WHEN size IS NULL THEN remaining - new.parts
        ELSE greatest(remaining - new.parts, 0) END,
    state = CASE WHEN size IS NOT NULL AND remaining <= new.parts
        THEN 'ready' ELSE state END,
    changed_at = statement_timestamp(),
    looked_at = statement_timestamp()
FROM new
WHERE group_id = %(group)s AND state = 'waiting' AND new.parts > 0
RETURNING state
"""
# `succeeded` sees the parts as they were before the statement, and needs no others.


def add(group_id: str, parts: Mapping[str, str]) -> str | None:
    """Add what is new of `parts` (states by task id) to a chord that waits for them.

    The chord's state then, or None where nothing was new. Who makes it ready has to send
    the body. Of a part that failed and then succeeded, success is what counts.
    """
    facts: dict[str, Any] = {
        "group": group_id,
        "ids": list(parts),
        "states": list(parts.values()),
        "success": states.SUCCESS,
    }
    with connections[router.db_for_write(Chord)].cursor() as cursor:
        cursor.execute(_ADD, facts)
        row = cursor.fetchone()
    return None if row is None else str(row[0])
