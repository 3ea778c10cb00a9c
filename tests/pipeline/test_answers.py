"""What the texts say that SageMaker writes where an answer was expected."""

from __future__ import annotations

import json

import pytest

from apps.pipeline.backends import answers
from contract.errors import ErrorCode
from contract.invocation import Failed

FULL = Failed(code=ErrorCode.DISK_FULL, message='The disk "/tmp" is full.')
RAW = FULL.model_dump_json()


@pytest.mark.parametrize(
    "text",
    [
        RAW,
        f'Received server error (500) from primary with message "{RAW}". See the log.',
        f"Received server error (500) from primary with message {json.dumps(RAW)}.",
    ],
    ids=["bare", "quoted", "escaped"],
)
def test_the_servers_own_answer_is_found_in_what_sagemaker_says(text):
    assert answers.failure(text) == FULL


@pytest.mark.parametrize(
    "text",
    ["", "no answer", "}{", '{"status": "error", "code": "of a newer server"}', "{}"],
)
def test_what_is_no_answer_is_told_in_its_own_words(text):
    told = answers.failure(text)

    assert told.code is ErrorCode.CRASHED
    assert text in told.message


def test_a_long_text_is_cut():
    assert len(answers.failure("x" * 9999).message) < 400
