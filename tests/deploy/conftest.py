"""A system that was made from deploy/terraform, at a pretended AWS."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import httpx2
import pytest
from botocore.config import Config

from stereospot.embedded import free_port
from tests.deploy.terraform import Folder, MissingError

REGION = "us-east-1"
VARIABLES = {
    "alarm_email": "ops@films.example",
    "codebuild_inference_repo_url": "https://git.example/stereospot.git",
    "deletion_protection": False,
    "ecs_image_tag": "3f2a",
    "enable_story_iv": True,
    "enable_waf": True,
    "inference_image_tag": "3f2a",
    "open_doors": True,
    "site_cidrs": ["203.0.113.7/32"],
}
"""Everything that moto can make. It has no budgets, and no certificate that gets valid."""
OVERRIDE = """
terraform {
  backend "local" {}
}

provider "aws" {
  max_retries = 3
}
"""
"""Without it what moto does not know would be asked for during ten minutes."""
MOST_SECONDS = 600.0
"""Of making or taking down. Most of it is the provider's own waiting: 100 s and 80 s."""


@dataclass(frozen=True, slots=True)
class Aws:
    """The pretended one."""

    url: str

    def client(self, service: str, **credentials: str) -> Any:
        keys = credentials or {
            "aws_access_key_id": "testing",
            "aws_secret_access_key": "testing",
        }
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            config=Config(retries={"total_max_attempts": 2}),
            **keys,
        )

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }


@dataclass(frozen=True, slots=True)
class System:
    """What Terraform made, and what it said to the same plan again."""

    aws: Aws
    outputs: dict[str, Any]
    second_plan: subprocess.CompletedProcess[str]

    def containers(self) -> dict[str, dict[str, Any]]:
        """By name; `migrate` is the same in each task."""
        ecs = self.aws.client("ecs")
        found = {}
        for arn in ecs.list_task_definitions()["taskDefinitionArns"]:
            definition = ecs.describe_task_definition(taskDefinition=arn)
            for container in definition["taskDefinition"]["containerDefinitions"]:
                found[container["name"]] = container
        return found


@pytest.fixture(scope="package")
def aws(tmp_path_factory) -> Iterator[Aws]:
    port = free_port()
    log = tmp_path_factory.mktemp("moto") / "log"
    server = [sys.executable, "-m", "tests.deploy.moto_server", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(server, stdout=file, stderr=file)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            assert process.poll() is None, log.read_text()
            try:
                httpx2.get(f"{url}/moto-api/")
                break
            except httpx2.TransportError:
                time.sleep(0.1)
        yield Aws(url)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="package")
def system(aws, tmp_path_factory) -> Iterator[System]:
    """Made once; taken down after these tests, of which nothing may be left."""
    folder = Folder(tmp_path_factory.mktemp("system"), **aws.environment())
    (folder.path / "pretended_override.tf").write_text(OVERRIDE)
    (folder.path / "terraform.tfvars.json").write_text(json.dumps(VARIABLES))
    try:
        folder.init()
    except MissingError as missing:
        pytest.skip(f"this machine has not {missing}")
    many = ("-auto-approve", "-parallelism=30")
    made = folder.run("apply", *many, seconds=MOST_SECONDS)
    assert made.returncode == 0, made.stdout[-6000:]
    again = folder.run("plan", "-detailed-exitcode", seconds=MOST_SECONDS)
    outputs = json.loads(folder.run("output", "-json", seconds=60).stdout)
    yield System(aws, {key: item["value"] for key, item in outputs.items()}, again)

    known = "-refresh=false"  # from the plan just before
    gone = folder.run("destroy", known, *many, seconds=MOST_SECONDS)
    assert gone.returncode == 0, gone.stdout[-6000:]
    left = aws.client("sqs").list_queues().get("QueueUrls", [])
    left += [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]]
    assert [name for name in left if "terraform-state" not in name] == []
