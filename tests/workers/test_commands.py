"""What a worker tells of its settings, to whoever may see Flower."""

from __future__ import annotations

import json

from celery import Celery
from celery.utils.collections import AttributeDict

from workers import commands


def test_no_password_is_told_wherever_it_stands():
    app = Celery("tests", set_as_current=False)
    app.conf.update(
        broker_url="sqs://key:hidden@127.0.0.1:1",
        CELERY_BROKER_URL="sqs://key:hidden@127.0.0.1:1",
        some_addresses=["https://user:hidden@films.example/x", "https://films.example"],
        monitor_database="host=x password=hidden",
        api_token="hidden",
        task_default_queue="seen",
    )
    told = commands._conf(AttributeDict(app=app), with_defaults=False)

    assert "hidden" not in json.dumps(told)
    assert told["task_default_queue"] == "seen"
    assert told["some_addresses"][1] == "https://films.example"
