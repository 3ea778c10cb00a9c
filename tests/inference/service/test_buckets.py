"""Segments in S3, as moto has it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from contract.errors import ErrorCode, StereoSpotError
from contract.invocation import Completed, Invocation
from contract.modes import Engine
from inference.service.objects import Made, Objects
from inference.service.places import Object
from tests.inference.films import conversion, manifest
from tests.inference.service.serving import serving

PLACE = {
    "aws_region": "us-east-1",
    "aws_access_key_id": "a",
    "aws_secret_access_key": "b",
}
TIMES = tuple(range(0, 12 * 3000, 3000))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def s3(endpoint):
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    client.create_bucket(Bucket="sources")
    client.create_bucket(Bucket="results")
    yield client
    client.close()


@pytest.fixture(scope="module")
def environment(endpoint, s3):
    buckets = {"source_bucket": "sources", "result_bucket": "results"}
    return {**PLACE, **buckets, "aws_endpoint_url_s3": endpoint}


@pytest.fixture(scope="module")
def server(environment):
    with serving(**environment) as server:
        yield server


def invocation(s3, short, **changes):
    """Of a segment that is in the store, unless it is `missing`."""
    job = uuid.uuid4()
    key = f"segments/{job}/00000_00001_sbs.mp4"
    if not changes.pop("missing", False):
        s3.upload_file(str(short), "sources", key)
    asked = Invocation.of(
        conversion(manifest(TIMES)),
        input_uri=f"s3://sources/{key}",
        output_uri=f"s3://results/jobs/{job}/segments/0.mp4",
    )
    return asked.model_copy(update=changes)


def post(server, asked):
    return server.post(asked.model_dump_json().encode())


def test_a_result_says_what_made_it_and_that_it_may_expire(server, s3, short):
    asked = invocation(s3, short)
    place = {"Bucket": "results", "Key": asked.output_uri.removeprefix("s3://results/")}

    answer = post(server, asked)

    assert answer.status_code == 200, answer.text
    head = s3.head_object(**place)
    tags = s3.get_object_tagging(**place)["TagSet"]
    assert head["ContentType"] == "video/mp4"
    assert head["Metadata"]["stereospot-conversion"] == asked.digest
    assert tags == [{"Key": "stereo-spot-lifecycle", "Value": "expire-segments"}]


def test_another_server_knows_what_is_there_already(server, environment, s3, short):
    asked = invocation(s3, short)
    first = post(server, asked)
    with serving(**environment) as other:
        again = post(other, asked.model_copy(update={"attempt": 2}))
        changed = post(other, asked.model_copy(update={"seed": 1}))

        assert again.json() == first.json()
        assert changed.status_code == 200
        assert other.conversions() == 1


def test_an_object_that_is_not_ours_is_replaced(server, s3, short):
    asked = invocation(s3, short)
    key = asked.output_uri.removeprefix("s3://results/")
    s3.put_object(Bucket="results", Key=key, Body=b"not ours")

    assert post(server, asked).status_code == 200
    assert s3.head_object(Bucket="results", Key=key)["ContentLength"] > 1000


def test_a_segment_that_is_missing_is_named(server, s3, short):
    answer = post(server, invocation(s3, short, missing=True))

    assert answer.status_code == 500
    assert answer.json()["code"] == "object-missing"


def test_a_foreign_bucket_is_forbidden(server, s3, short):
    asked = invocation(s3, short)
    foreign = asked.output_uri.replace("results", "payroll")

    answer = post(server, asked.model_copy(update={"output_uri": foreign}))

    assert answer.status_code == 403
    assert answer.json()["code"] == "forbidden-uri"
    assert "payroll" in answer.json()["message"]


DONE = Completed(frames=1, seconds=1, engine=Engine.PREVIEW, version="1")
NOBODY = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.mark.parametrize(
    ("bucket", "changed", "code"),
    [
        ("results", {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, ErrorCode.STORAGE),
        ("not-there", {}, ErrorCode.MISCONFIGURED),
        ("results", NOBODY, ErrorCode.MISCONFIGURED),
    ],
    ids=["away", "refuses", "no credentials"],
)
def test_a_store_that_is_away_may_come_back_and_one_that_refuses_is_the_operators(
    environment, monkeypatch, short, bucket, changed, code
):
    told = {name.upper(): value for name, value in environment.items()} | changed
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    place = Object(bucket, "jobs/3.mp4")

    with pytest.raises(StereoSpotError) as raised:
        Objects("us-east-1", attempts=1).publish(short, place, Made("1", DONE))

    assert raised.value.code is code
