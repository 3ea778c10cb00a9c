"""A film of a prompt: what the page and the API take, and what they say."""

from __future__ import annotations

from uuid import uuid4

import pytest

from apps.jobs import estimates, ledger, limits
from apps.jobs.models import Job
from apps.pipeline import messages
from contract.generation import ClipWish, Generated
from contract.origins import Prompt
from tests.jobs.test_api import client_of
from tests.jobs.test_api_uploads import create

PAGE = "/jobs/prompt/"


@pytest.fixture(autouse=True)
def made_here(settings, monkeypatch) -> None:
    settings.PROMPTS = True
    monkeypatch.setattr(messages, "send_stage", lambda job: None)


@pytest.fixture
def hers(client, alice):
    client.force_login(alice)
    return client


def form(**fields: object) -> dict[str, object]:
    film = {"mode": "flat", "engine": "fast", "max_disparity": 2, "convergence": 1}
    clip = {"prompt": "rain on the sea", "shape": "portrait", "seconds": 3}
    more = {"steps": 50, "guidance": 5, "negative_prompt": "people"}
    return {"request_id": uuid4().hex, **film, **clip, **more, **fields}


def test_a_clip_is_asked_for_as_the_form_says(hers, alice):
    answer = hers.post(PAGE, form(seed=2**63 - 1))

    job = Job.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/jobs/{job.pk}/")
    assert (job.owner, job.mode, job.status) == (alice, "flat", Job.Status.INGESTING)
    assert job.get_prompt() == Prompt(
        wish=ClipWish(
            prompt="rain on the sea",
            negative_prompt="people",
            seconds=3,
            width=704,
            height=1280,
            seed=2**63 - 1,
        ),
        seed=2**63 - 1,
        width=704,
        height=1280,
        frames=73,
    )


def test_the_same_form_twice_is_one_job_and_a_changed_one_another(hers):
    filled = form()

    first, second = hers.post(PAGE, filled), hers.post(PAGE, filled)
    third = hers.post(PAGE, filled | {"prompt": "snow on the sea"})

    assert first["Location"] == second["Location"] != third["Location"]
    assert Job.objects.count() == 2


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"prompt": "  "}, "Say what is to be seen."),
        ({"prompt": "a" * 2001}, "at most 2000 characters"),
        ({"seconds": 11}, "less than or equal to 10"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"steps": 0}, "greater than or equal to 1"),
        ({"shape": "round"}, "Select a valid choice"),
        ({"mode": "hologram"}, "There is no such mode"),
    ],
)
def test_what_cannot_be_made_is_said_beside_what_was_typed(hers, wrong, advice):
    answer = hers.post(PAGE, form(**wrong))

    assert answer.status_code == 422
    assert advice in answer.text
    assert not Job.objects.exists()


def test_who_asks_too_often_is_asked_to_wait(hers, alice):
    for _ in range(limits.CREATION.free):
        limits.count(limits.CREATION, alice.pk)

    answer = hers.post(PAGE, form())

    assert answer.status_code == 429
    assert "too often" in answer.text


def test_a_film_that_is_brought_has_no_choice_to_stay_flat(hers):
    assert 'value="flat"' in hers.get(PAGE).text
    assert 'value="flat"' not in hers.get("/jobs/new/").text


def test_where_no_clips_are_made_there_is_no_page_and_staff_learns_why(
    hers, settings, alice
):
    assert f'href="{PAGE}"' in hers.get("/jobs/new/").text
    settings.PROMPTS = False

    assert hers.get(PAGE).status_code == 404
    assert hers.post(PAGE, form()).status_code == 404
    assert "PROMPTS" not in hers.get("/jobs/new/").text
    alice.is_staff = True
    alice.save()
    assert "<code>PROMPTS</code> turns that on." in hers.get("/jobs/new/").text


def made(alice, *, seconds: float, steps: int = 50, **size: int) -> Job:
    """A clip that was made in so many seconds."""
    prompt = Prompt.of(ClipWish(prompt="rain", steps=steps, **size))
    answer = Generated(frames=prompt.frames, seconds=seconds, version="1")
    origin = prompt.model_dump(mode="json")
    return Job.objects.create(
        owner=alice,
        title="Rain",
        mode="flat",
        origin=origin,
        clip=answer.model_dump(mode="json"),
    )


def test_how_long_a_clip_takes_is_what_the_last_ones_took_by_steps_and_pixels(alice):
    usual = Prompt.of(ClipWish(prompt="snow"))
    half = ClipWish(prompt="snow", steps=25)
    made(alice, seconds=100)
    made(alice, seconds=50, steps=25)
    assert estimates.clip(usual) is None

    made(alice, seconds=120)

    assert estimates.clip(usual).high == pytest.approx(100)
    assert estimates.clip(Prompt.of(half)).high == pytest.approx(50)


def test_the_page_says_how_long_a_clip_takes_and_whose_it_is(hers, alice, settings):
    settings.CONVERTS_HERE = False
    page = hers.get(PAGE).text
    assert "about 9 min on an RTX 4090, by its authors" in page
    assert "Licence: free for any use, commerce included (Apache-2.0)." in page

    for _ in range(3):
        made(alice, seconds=100)

    assert "take one worker about 2 min, measured here lately" in hers.get(PAGE).text


def test_the_page_of_a_clip_says_how_long_such_a_one_takes(hers, alice):
    for _ in range(3):
        made(alice, seconds=200)
    hers.post(PAGE, form(shape="landscape", seconds=5))
    job = Job.objects.get(status="ingesting")
    page = f"/jobs/{job.pk}/progress/"
    assert "Such a clip" not in hers.get(page).text

    ledger.claim_stage(job.pk, Job.Status.INGESTING)

    assert "Such a clip takes about 3 min here." in hers.get(page).text


def test_what_a_clip_cost_is_part_of_what_its_film_cost(alice, settings):
    settings.GPU_HOUR_PRICE = 3.6

    assert estimates.cost(made(alice, seconds=100)) == pytest.approx(0.1)


# --- Programs ----------------------------------------------------------------------


def test_programs_name_a_prompt_in_place_of_a_file_and_learn_what_it_comes_to(alice):
    program = client_of(alice)
    body = {"prompt": {"prompt": " rain \n", "height": 720}, "mode": "flat"}

    created = create(program, body, key="rain")
    again = create(program, body, key="rain")

    assert (created.status_code, again.status_code) == (201, 200)
    assert created.json() == again.json() | {"steps": created.json()["steps"]}
    job = created.json()
    assert (job["status"], job["mode"], job["title"]) == ("ingesting", "flat", "rain")
    assert job["uploads"] == []
    assert job["sentence"] == "Queued: no worker has it yet."
    assert [step["name"] for step in job["steps"]] == ["Generate", "Done"]
    prompt = job["prompt"]
    assert (prompt["width"], prompt["height"], prompt["frames"]) == (1280, 704, 121)
    assert prompt["wish"]["height"] == 720
    assert prompt["seed"] == Job.objects.get().get_prompt().seed


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": {"prompt": "  "}},
        {"prompt": {"prompt": "rain", "seconds": 60}},
        {"prompt": {"prompt": "rain", "fps": 60}},
        {"prompt": {"prompt": "a\0b"}},
        {"prompt": {"prompt": "rain"}, "link": "https://films.example/a.mp4"},
        {"prompt": {"prompt": "rain"}, "depth": {"name": "a.mkv", "size": 1}},
        {"mode": "flat", "file": {"name": "a.mp4", "size": 1}},
    ],
)
def test_programs_are_told_what_is_wrong_with_a_prompt(alice, body):
    refused = create(client_of(alice), body)

    assert refused.status_code == 422
    assert not Job.objects.exists()


def test_programs_are_told_where_no_clips_are_made(alice, settings):
    program = client_of(alice)
    offer = program.get("/api/v1/offers").json()["prompts"]
    assert (offer["longest_seconds"], offer["licence"]["commerce"]) == (10, True)
    settings.PROMPTS = False

    refused = create(program, {"prompt": {"prompt": "rain"}})

    assert (refused.status_code, refused.json()["code"]) == (422, "prompt-refused")
    assert program.get("/api/v1/offers").json()["prompts"] is None
