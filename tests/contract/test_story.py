"""What a message of Story IV may say, and what becomes of what it does not say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contract.keys import StoryKey
from contract.story import StoryError, TaskIds, ids_of, unknown_fields, video_job

PROMPT = {"prompt": "a cozy cabin in the forest, golden hour"}


def told(**fields: Any) -> Any:
    """As it is read from a queue."""
    return video_job(json.loads(json.dumps(PROMPT | fields)))


def test_of_a_message_with_nothing_but_a_prompt_the_rest_is_story_ivs():
    job = told()

    assert (job.steps, job.guidance, job.num_videos) == (15, 7.0, 1)
    assert (job.width, job.height, job.seconds, job.fps) == (1280, 720, 5, 24)
    assert (job.seed, job.negative_prompt) == (None, "")


def test_all_that_is_asked_for_is_asked_of_the_network():
    job = told(
        negative_prompt=" rain ",
        seed=1234,
        steps=20,
        guidance=6.5,
        width=640,
        height=480,
        seconds=2,
    )
    wish = job.wish(job.seed)

    assert (wish.prompt, wish.negative_prompt) == (PROMPT["prompt"], "rain")
    assert (wish.seed, wish.steps, wish.guidance) == (1234, 20, 6.5)
    assert (wish.width, wish.height, wish.seconds) == (640, 480, 2)


def test_numbers_may_come_as_strings():
    fields = {"seed": "9223372036854775807", "steps": " 20 ", "guidance": "6.5"}
    sizes = {"width": "640", "height": "480.0", "num_videos": "2", "fps": "24"}
    job = told(**fields, **sizes)

    assert (job.seed, job.steps, job.guidance) == (2**63 - 1, 20, 6.5)
    assert (job.width, job.height, job.num_videos) == (640, 480, 2)


NUMBERS = (
    "seed",
    "steps",
    "guidance",
    "width",
    "height",
    "num_videos",
    "seconds",
    "fps",
)


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize(
    "value",
    [True, None, [], {}, "", "many", "0x10", "1_0", "1e1", "٢", float("nan"), 1e400],
    ids=repr,
)
def test_what_is_no_number_is_refused_by_the_fields_name(field, value):
    with pytest.raises(StoryError, match=f"^{field}: "):
        told(**{field: value})


@pytest.mark.parametrize(
    ("field", "values"),
    {
        "seed": (-1, 2**63, 1.5),
        "steps": (0, 101, 15.5),
        "guidance": (-0.1, 20.1),
        "width": (255, 1281, -720),
        "height": (255, 1281, 0),
        "num_videos": (0, 3),
        "seconds": (0, 11),
        "fps": (23, 25, 60),
        "negative_prompt": ("x" * 2001, None, 5, "\0"),
        "prompt": ("", "  ", "x" * 2001, None, 5, "a\0b", "\ud800"),
    }.items(),
)
def test_what_is_out_of_bounds_is_refused_by_the_fields_name(field, values):
    for value in values:
        with pytest.raises(StoryError, match=f"^{field}: "):
            told(**{field: value})


def test_all_that_is_wrong_is_named():
    with pytest.raises(StoryError) as refused:
        video_job({"steps": "many", "fps": 30})

    assert str(refused.value) == (
        "prompt: Field required; steps: must be a number; "
        "fps: must be 24: no other rate is made"
    )


def test_clips_of_one_message_have_a_seed_each():
    assert told(num_videos=2).seeds(7) == [7, 8]
    assert told(num_videos=2).seeds(2**63 - 1) == [2**63 - 1, 0]


def test_fields_that_nobody_knows_are_ignored():
    message = PROMPT | {"parent_id": "1", "task_id": "2", "voice": "low", "steps": 3}

    assert video_job(message).steps == 3
    assert unknown_fields(message) == ["voice"]


@pytest.mark.parametrize(
    "bad", ["", "a/b", "..", "../x", "a.b", "a b", "é", "x" * 129, "a\n", 12, None]
)
def test_what_cannot_be_part_of_a_key_is_no_id(bad):
    assert ids_of({"parent_id": "1", "task_id": bad}) is None
    assert ids_of({"parent_id": bad, "task_id": "1"}) is None
    with pytest.raises(ValueError, match="are no ids"):
        str(StoryKey("1", bad))


def test_clips_lie_where_the_producer_looks_for_them():
    ids = ids_of({"parent_id": "12312312", "task_id": "x" * 128})

    assert ids == TaskIds("12312312", "x" * 128)
    assert str(StoryKey("story", "task")) == "story/task.mp4"
    assert str(StoryKey("story", "task", 1)) == "story/task-1.mp4"
