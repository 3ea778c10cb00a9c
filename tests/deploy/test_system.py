"""A system made from deploy/terraform does what its parts expect of one another."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import httpx2
import pytest
from botocore.exceptions import ClientError
from django.conf import settings

from apps.monitoring.middleware import PATH as HEALTH_PATH
from tests.deploy.conftest import Aws

PREFIX = "stereo-spot"
JOB = "0f8fad5b-d9cb-469f-a165-70867728950e"
SOURCE, RESULT = (f"{PREFIX}-{name}-123456789012" for name in ("input", "output"))
FILMS = ("source", "final")
ALL = 20
"""Receipts, more than any queue allows."""


def url(aws, queue: str) -> str:
    return str(
        aws.client("sqs").get_queue_url(QueueName=f"{PREFIX}-{queue}")["QueueUrl"]
    )


def keys_told(aws, queue: str) -> list[str]:
    """Of the objects that S3 has told the queue of, which is empty afterwards."""
    sqs, found = aws.client("sqs"), []
    while messages := sqs.receive_message(
        QueueUrl=url(aws, queue), WaitTimeSeconds=0, MaxNumberOfMessages=10
    ).get("Messages"):
        for message in messages:
            records = json.loads(message["Body"]).get("Records", [])
            found += [record["s3"]["object"]["key"] for record in records]
            handle = message["ReceiptHandle"]
            sqs.delete_message(QueueUrl=url(aws, queue), ReceiptHandle=handle)
    return found


def test_the_same_plan_again_changes_nothing(system):
    assert system.second_plan.returncode == 0, system.second_plan.stdout[-6000:]
    assert "No changes" in system.second_plan.stdout


@pytest.mark.parametrize("queue", ["media", "gpu", "control"])
def test_celerys_queues_are_what_the_settings_say(system, queue):
    attributes = system.aws.client("sqs").get_queue_attributes(
        QueueUrl=system.outputs["queue_urls"][queue], AttributeNames=["All"]
    )["Attributes"]
    redrive = json.loads(attributes["RedrivePolicy"])
    ours = settings.CELERY_BROKER_TRANSPORT_OPTIONS

    assert int(attributes["VisibilityTimeout"]) == ours["visibility_timeout"]
    assert int(redrive["maxReceiveCount"]) == ours["dead_letters"]["max_receive_count"]
    assert redrive["deadLetterTargetArn"].endswith(f":{PREFIX}-{queue}-dlq")


def test_each_queue_that_tasks_are_sent_to_is_there(system):
    sent_to = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}

    assert sent_to <= set(system.outputs["queue_urls"])


@pytest.mark.parametrize("queue", ["media", "gpu", "arrivals", "video-jobs"])
def test_a_message_that_nobody_can_read_ends_in_the_dead_letter_queue(system, queue):
    sqs, place = system.aws.client("sqs"), url(system.aws, queue)
    sent = sqs.send_message(QueueUrl=place, MessageBody="poison")["MessageId"]
    for _ in range(ALL):
        answer = sqs.receive_message(
            QueueUrl=place, WaitTimeSeconds=0, MaxNumberOfMessages=10
        )
        for message in answer.get("Messages", []):
            handle = message["ReceiptHandle"]
            sqs.change_message_visibility(
                QueueUrl=place, ReceiptHandle=handle, VisibilityTimeout=0
            )
    dead = sqs.receive_message(
        QueueUrl=url(system.aws, f"{queue}-dlq"), MaxNumberOfMessages=10
    )

    assert sent in {message["MessageId"] for message in dead["Messages"]}


def test_s3_tells_of_what_arrives_and_of_nothing_else(system):
    s3, aws = system.aws.client("s3"), system.aws
    keys_told(aws, "arrivals")
    for bucket, key in (
        (SOURCE, f"input/{JOB}/source.mkv"),
        (SOURCE, "drop/alice/film.mkv"),
        (SOURCE, f"segments/{JOB}/00000_00001_sbs.mp4"),
        (RESULT, f"jobs/{JOB}/segments/0.mp4"),
        (RESULT, "sagemaker/answers/1.out"),
    ):
        s3.put_object(Bucket=bucket, Key=key, Body=b"film")

    assert sorted(map(unquote_plus, keys_told(aws, "arrivals"))) == [
        "drop/alice/film.mkv",
        f"input/{JOB}/source.mkv",
        f"jobs/{JOB}/segments/0.mp4",
    ]


def test_a_browser_may_upload_parts_and_play_ranges_from_the_site_alone(system):
    s3 = system.aws.client("s3")
    rules = {
        bucket: s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
        for bucket in (SOURCE, RESULT)
    }
    site = [system.outputs["web_ui_url"]]

    assert [rule["AllowedOrigins"] for (rule,) in rules.values()] == [site, site]
    assert rules[SOURCE][0]["AllowedMethods"] == ["PUT"]
    assert "ETag" in rules[SOURCE][0]["ExposeHeaders"]
    assert {"GET", "HEAD"} == set(rules[RESULT][0]["AllowedMethods"])
    assert "Content-Range" in rules[RESULT][0]["ExposeHeaders"]


def test_the_balancer_asks_where_the_site_answers_it(system):
    groups = system.aws.client("elbv2").describe_target_groups()["TargetGroups"]

    assert [group["HealthCheckPath"] for group in groups] == [HEALTH_PATH]


def test_every_service_may_do_its_own_work_and_not_anothers(system):
    source, final = f"input/{JOB}/source.mp4", f"jobs/{JOB}/final.mp4"
    for bucket, key in ((SOURCE, source), (RESULT, final)):
        system.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"film")
    calls = {
        f"send to {queue}": (
            "sqs",
            "send_message",
            {"QueueUrl": url, "MessageBody": "x"},
        )
        for queue, url in system.outputs["queue_urls"].items()
    } | {
        f"take from {queue}": ("sqs", "receive_message", {"QueueUrl": url})
        for queue, url in system.outputs["queue_urls"].items()
    }
    for what, place in {
        "source": {"Bucket": SOURCE, "Key": source},
        "final": {"Bucket": RESULT, "Key": final},
        "other things": {"Bucket": SOURCE, "Key": "elsewhere"},
    }.items():
        calls |= {
            f"{verb} {what}": ("s3", f"{verb}_object", place)
            for verb in ("get", "put", "delete")
        }
    clip = {
        "Bucket": system.outputs["story_iv"]["bucket_name"],
        "Key": "story/task.mp4",
    }
    calls["put story clip"] = ("s3", "put_object", clip)
    sends = {"send to media", "send to gpu", "send to control"}

    with enforced(system.aws):
        may = {
            service: {
                what
                for what, call in calls.items()
                if allowed(system.aws, service, call)
            }
            for service in (
                "web-ui",
                "media-worker",
                "video-worker",
                "control",
                "bridge",
            )
        }

    films = {f"{verb} {what}" for verb in ("get", "put", "delete") for what in FILMS}
    assert may == {
        "web-ui": sends | {"get source", "put source", "get final"},
        "media-worker": sends | films | {"take from media"},
        "video-worker": sends
        | {"get final", "delete final", "get source", "delete source", "take from gpu"},
        "control": sends
        | {"get source", "get final", "put story clip", "take from control"},
        "bridge": sends
        | {"get source", "get final", "take from arrivals", "take from video-jobs"},
    }


@contextlib.contextmanager
def enforced(aws) -> Iterator[None]:
    """moto looks at policies, as AWS does."""
    httpx2.post(f"{aws.url}/moto-api/reset-auth", content="0")
    try:
        yield
    finally:
        httpx2.post(f"{aws.url}/moto-api/reset-auth", content="inf")


def allowed(aws, service: str, call: tuple[str, str, dict[str, Any]]) -> bool:
    """Whether the service's task may call so; that there is nothing there is no refusal."""
    kind, method, arguments = call
    try:
        getattr(aws.client(kind, **as_task(aws.url, service)), method)(**arguments)
    except ClientError as error:
        return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] != 403)
    return True


@functools.cache
def as_task(url: str, service: str) -> dict[str, str]:
    """Credentials of a task's role. An administrator takes it on, which nobody checks."""
    aws = Aws(url)
    role = f"arn:aws:iam::123456789012:role/{PREFIX}-{service}-task"
    httpx2.post(f"{url}/moto-api/reset-auth", content="inf")
    taken = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="test")
    httpx2.post(f"{url}/moto-api/reset-auth", content="0")
    return {
        "aws_access_key_id": taken["Credentials"]["AccessKeyId"],
        "aws_secret_access_key": taken["Credentials"]["SecretAccessKey"],
        "aws_session_token": taken["Credentials"]["SessionToken"],
    }


def test_the_endpoint_sleeps_and_wakes_and_workers_follow_their_queue(system):
    scaling = system.aws.client("application-autoscaling")
    targets = {
        target["ResourceId"]: (target["MinCapacity"], target["MaxCapacity"])
        for space in ("ecs", "sagemaker")
        for target in scaling.describe_scalable_targets(ServiceNamespace=space)[
            "ScalableTargets"
        ]
    }
    alarms = system.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    actions = {alarm["AlarmName"]: alarm["AlarmActions"] for alarm in alarms}

    assert targets == {
        f"service/{PREFIX}/media-worker": (0, 10),
        f"service/{PREFIX}/video-worker": (0, 8),
        f"endpoint/{PREFIX}-inference/variant/AllTraffic": (0, 1),
    }
    for waker in ("media-worker", "video-worker", "inference"):
        (action,) = actions[f"{PREFIX}-{waker}-wake"]
        assert f"policyName/{PREFIX}-{waker}-wake" in action


def test_every_alarm_of_people_reaches_the_topic_that_writes_to_them(system):
    alarms = system.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    for_people = [
        alarm
        for alarm in alarms
        if not alarm["AlarmDescription"].startswith("Scaling, nothing to do")
        and not alarm["AlarmName"].startswith("TargetTracking-")  # made by that
    ]
    topic = system.outputs["alarms_topic_arn"]
    subscriptions = system.aws.client("sns").list_subscriptions_by_topic(TopicArn=topic)

    assert len(for_people) >= 2 * 5 + 4
    assert {tuple(alarm["AlarmActions"]) for alarm in for_people} == {(topic,)}
    assert [found["Endpoint"] for found in subscriptions["Subscriptions"]] == [
        "ops@films.example"
    ]


def test_scaling_and_alarms_ask_for_figures_that_are_published(system):
    from apps.pipeline import cloudwatch

    known = {metric.name: set(metric.dimensions) for metric in cloudwatch.METRICS}
    asked = []
    for alarm in system.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]:
        inner = [query.get("MetricStat", {}) for query in alarm.get("Metrics", [])]
        asked += [one["Metric"] for one in inner if one] or [alarm]
    ours = [one for one in asked if one.get("Namespace") == cloudwatch.NAMESPACE]

    assert len(ours) >= 8
    for one in ours:
        names = {dimension["Name"] for dimension in one["Dimensions"]}
        values = {d["Name"]: d["Value"] for d in one["Dimensions"]}
        assert names == known[one["MetricName"]]
        assert values["System"] == PREFIX
