"""What a message was, read from text that anybody may have written."""

from __future__ import annotations

from uuid import UUID

import pytest

from apps.pipeline.letters import read
from tests.pipeline.envelopes import envelope

JOB = UUID("12345678-1234-4234-8234-123456789abc")


@pytest.mark.parametrize("encoding", ["base64", "utf-8"])
def test_it_reads_what_our_producers_write(encoding):
    letter = read(envelope("infer", str(JOB), 3, encoding=encoding))

    assert letter.fault == ""
    assert letter.task == "infer"
    assert (letter.job_id, letter.segment_index) == (JOB, 3)
    assert letter.request.id == letter.task_id


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("hello world", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
        ("[1, 2, 3]", "no Celery message"),
        ('{"Records": [{"eventName": "ObjectCreated:Put"}]}', "no Celery message"),
        (envelope("infer", body="!!! no base64"), "no Celery message"),
        (envelope("infer", body="e30="), "no Celery message"),
        (envelope("infer", headers={"task": "infer"}), "no Celery message"),
        (envelope("infer", headers={"task": ["a"], "id": "1"}), "no Celery message"),
        (envelope("infer", headers={"task": "a\0b", "id": "1"}), "no Celery message"),
        (envelope("infer", headers={"task": "a" * 256, "id": "1"}), "no Celery message"),
        (envelope("infer", **{"content-type": "application/x-python-serialize"}),
         "no Celery message"),
        (envelope("no.such.task"), "unknown task 'no.such.task'"),
        (envelope("a" * 255), f"unknown task '{'a' * 100}'"),
        (envelope("infer", "one"), "arguments that the task does not take"),
        (envelope("sweep", "one"), "arguments that the task does not take"),
    ],
)  # fmt: skip
def test_it_says_why_no_worker_could_do_it(body, reason):
    assert read(body).fault == reason


@pytest.mark.parametrize(
    "named",
    [
        f"{{{JOB}}}",
        f"urn:uuid:{JOB}",
        f" {JOB}",
        JOB.hex,
        str(JOB).upper(),
        "nonsense",
        7,
        None,
        [str(JOB)],
    ],
)
def test_an_id_that_is_not_written_as_we_write_it_names_no_job(named):
    letter = read(envelope("infer", named, 1))

    assert letter.job_id is None
    assert letter.segment_index is None
    assert letter.task == "infer"


@pytest.mark.parametrize("index", [-1, 99_999, 10**30, True, "1", 1.0, None])
def test_an_index_that_no_segment_can_have_is_not_taken(index):
    letter = read(envelope("infer", str(JOB), index))

    assert letter.job_id == JOB
    assert letter.segment_index is None
