"""Ten thousand jobs, and what the database does to show some of them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

TABLES = ("jobs_job", "jobs_segment", "jobs_event")

_JOBS = """
INSERT INTO jobs_job (
    id, owner_id, title, mode, engine, max_disparity, convergence, reference,
    source_extension, depth_extension, fingerprint, status, attempt, failures,
    error_code, error_message, final_extension, total_segments,
    created_at, started_at, finished_at
) SELECT
    gen_random_uuid(), %(owner)s, 'Clip ' || n, 'sbs', 'preview', 2, 0.5, false,
    'mp4', '', '', CASE WHEN n %% 1000 = 0 THEN 'failed' ELSE 'completed' END, 1, 0,
    CASE WHEN n %% 1000 = 0 THEN 'internal' ELSE '' END, '', 'mp4', %(segments)s,
    now() - n * interval '1 minute', now() - n * interval '1 minute', now()
FROM generate_series(1, %(number)s) n
"""
_SEGMENTS = """
INSERT INTO jobs_segment (
    job_id, index, frames, frame_count, status, attempt, failures, error_code,
    error_message, frames_done, engine_version, seconds, finished_at
) SELECT
    job.id, n, '{}', 1,
    CASE WHEN job.status = 'failed' THEN 'failed' ELSE 'done' END, 1, 0, '', '', 0, '',
    CASE WHEN job.status = 'failed' THEN NULL ELSE 9 END,
    CASE WHEN job.status = 'failed' THEN NULL ELSE now() END
FROM jobs_job job, generate_series(0, job.total_segments - 1) n
WHERE job.owner_id = %(owner)s
"""
_EVENTS = """
INSERT INTO jobs_event (job_id, kind, detail)
SELECT id, 'started', '' FROM jobs_job WHERE owner_id = %(owner)s
"""


def fill(owner, number: int, *, segments: int = 3) -> None:
    """Clip 1, Clip 2, …, each a minute older than the one before; each 1000th failed."""
    facts = {"owner": owner.pk, "number": number, "segments": segments}
    with connection.cursor() as cursor:
        for statement in (_JOBS, _SEGMENTS, _EVENTS):
            cursor.execute(statement, facts)
        cursor.execute(f"ANALYZE {', '.join(TABLES)}")


def plans(client: Client, url: str) -> Iterator[tuple[str, dict]]:
    """Each node that the database went through to answer, with its statement."""
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert client.get(url).status_code == 200
    for query in asked.captured_queries:
        sql = query["sql"]
        if sql.startswith("SELECT") and any(table in sql for table in TABLES):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
                [[answer]] = cursor.fetchall()
            plan = json.loads(answer) if isinstance(answer, str) else answer
            for node in _nodes(plan[0]["Plan"]):
                yield sql, node


def planned(sql: str) -> Iterator[dict]:
    """Each node that the database would go through for a statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        [[answer]] = cursor.fetchall()
    plan = json.loads(answer) if isinstance(answer, str) else answer
    yield from _nodes(plan[0]["Plan"])


def _nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def looked_at(node: dict) -> int:
    """Rows that a node went through, also those that it threw away."""
    removed = sum(n for name, n in node.items() if name.startswith("Rows Removed by"))
    return (node["Actual Rows"] + removed) * node["Actual Loops"]


def scans_a_table(node: dict) -> bool:
    return node["Node Type"].endswith("Seq Scan") and node["Relation Name"] in TABLES
