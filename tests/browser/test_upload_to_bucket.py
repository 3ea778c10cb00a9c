"""Films go from the browser straight into the bucket, past the site."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from stereospot.embedded import free_port
from tests.browser.films import film
from tests.browser.site import Site
from tests.browser.test_upload import send, sent_parts

SECRETS = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def aws() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def door(site: Site, aws: str) -> Iterator[Site]:
    """Another door of the same site, whose films lie in buckets."""
    address = f"127.0.0.1:{free_port()}"
    buckets = {"SOURCE_BUCKET": "sources", "RESULT_BUCKET": "results"}
    threads = ("--worker-class", "gthread", "--threads", "8", "--no-control-socket")
    command = (sys.executable, "-m", "gunicorn", "stereospot.wsgi", *threads)
    process = subprocess.Popen(
        [*command, "--bind", address],
        env=site.machine.variables | buckets | SECRETS | {"AWS_ENDPOINT_URL_S3": aws},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    door = Site(site.machine, address)
    try:
        door.wait()
        yield door
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def s3(aws: str, door: Site) -> Any:
    """With the rules that the documentation asks for."""
    s3 = boto3.client(
        "s3",
        endpoint_url=aws,
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key="secret",
    )
    for name in ("sources", "results"):
        s3.create_bucket(Bucket=name)
    rule = {
        "AllowedOrigins": [door.url],
        "AllowedMethods": ["PUT"],
        "AllowedHeaders": [],
        "ExposeHeaders": ["ETag"],
    }
    s3.put_bucket_cors(Bucket="sources", CORSConfiguration={"CORSRules": [rule]})
    return s3


def test_every_part_goes_past_the_site_into_the_bucket(
    visit, watch, site, door, s3, aws, tmp_path
):
    path = film(tmp_path, megabytes=40)
    page = visit("alice", at=door)
    watch.allow_origin(aws)
    parts = sent_parts(page)

    send(page, path)

    page.wait_for_url(re.compile("/jobs/[0-9a-f-]{36}/$"))
    job_id = page.url.split("/")[-2]
    assert len(parts) == 3
    assert all(part.startswith(f"{aws}/sources/input/{job_id}/") for part in parts)
    stored = s3.get_object(Bucket="sources", Key=f"input/{job_id}/source.mp4")
    assert stored["Body"].read() == path.read_bytes()
    [[status]] = site.machine.query(
        f"SELECT status FROM jobs_job WHERE id = '{job_id}'"
    )
    assert status != "created"
    page.close()  # it would go on asking how far the job is, at a door that closes
