from __future__ import annotations

import pytest
from pydantic import ValidationError

from stereospot.environment import Environment


def environment(**variables) -> Environment:
    return Environment(_env_file=None, **variables)


def test_lists_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOWED_HOSTS", "films.example, www.films.example")

    assert environment().django_allowed_hosts == ["films.example", "www.films.example"]


@pytest.mark.parametrize(
    "unsafe",
    [
        {"django_secure": True},
        {"django_secure": True, "django_secret_key": "k" * 50, "django_debug": True},
        {"source_bucket": "sources"},
        {"sqs_queue_url_gpu": "https://sqs.example/1/gpu"},
        {"sqs_long_poll_wait_seconds": 21},
        {"inference_backend": "stub"},
        {"inference_backend": "http"},
        {"inference_backend": "http", "inference_http_url": "gpu-box:8080"},
        {"inference_backend": "sagemaker", "sagemaker_endpoint_name": "stereo"},
        {"sagemaker_invoke_timeout_seconds": 3601},
        {"inference_max_in_flight": 0},
        {"quota_films_at_once": -1},
        {"email_host": "mail.example"},
        {"email_security": "maybe"},
        {"quota_minutes_a_month": "many"},
        {
            "source_bucket": "sources",
            "result_bucket": "results",
            "bridge_queue_url_video_jobs": "https://sqs.example/1/video-jobs",
        },
    ],
)
def test_values_that_are_unsafe_or_make_no_sense_refuse_to_start(unsafe):
    with pytest.raises(ValidationError):
        environment(**unsafe)


def test_an_empty_quota_is_none(monkeypatch):
    monkeypatch.setenv("QUOTA_FILMS_AT_ONCE", "")

    assert environment().quota_films_at_once is None
    assert environment().quota_minutes_a_month == 600


def test_secrets_do_not_show_in_a_traceback():
    assert "hunter2" not in repr(environment(database_url="postgresql://u:hunter2@h/d"))
    assert "hunter2" not in repr(environment(inference_token="hunter2"))
    assert "hunter2" not in repr(environment(email_host_password="hunter2"))
    assert "hunter2" not in repr(environment(vapid_private_key="hunter2"))


def test_queues_that_exist_are_known_by_their_url(monkeypatch):
    urls = {
        name: f"https://sqs.example/1/{name}" for name in ("media", "gpu", "control")
    }
    for name, url in urls.items():
        monkeypatch.setenv(f"SQS_QUEUE_URL_{name.upper()}", url)

    assert environment().queue_urls == urls


def test_the_bridge_reads_those_queues_that_are_named(monkeypatch):
    monkeypatch.setenv("BRIDGE_QUEUE_URL_VIDEO_JOBS", "https://sqs.example/1/video")

    assert environment().bridge_queue_urls == {
        "video-jobs": "https://sqs.example/1/video"
    }
