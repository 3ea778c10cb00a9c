"""`python -m tests.deploy.moto_server PORT`: moto, with what Terraform's provider misses.

Each mend names the resource that hangs, fails or drifts without it (moto 5.2.5). They reach
into moto: after an upgrade, drop those that are no longer wanted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "false")

import botocore.session
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.codebuild import models as codebuild
from moto.codebuild import responses as codebuild_responses
from moto.ec2.models import security_groups
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.iam import access_control
from moto.rds import models as rds
from moto.sagemaker import models as sagemaker
from moto.sagemaker.responses import SageMakerResponse
from moto.server import main
from moto.sqs import models as sqs


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """`owner.name` becomes what `make` makes of it; an error where there is none."""
    setattr(owner, name, make(getattr(owner, name)))


# aws_sqs_queue_redrive_allow_policy hangs: the attribute is kept, but never listed.
sqs.Queue.BASE_ATTRIBUTES = [*sqs.Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]
sqs.Queue.redrive_allow_policy = None


def compact_redrive_policy(stock: property) -> property:
    """aws_sqs_queue drifts: AWS gives the policy back without blanks."""

    def attributes(self: Any) -> dict[str, Any]:
        found: dict[str, Any] = stock.fget(self)  # type: ignore[misc]
        if self.redrive_policy:
            found["RedrivePolicy"] = json.dumps(
                self.redrive_policy, separators=(",", ":")
            )
        return found

    return property(attributes)


def keeping_policy(stock: Any) -> Any:
    """aws_sqs_queue_policy drifts: any other attribute that is set wipes it out."""

    def set_attributes(self: Any, attributes: dict[str, Any], now: Any = None) -> None:
        policy = getattr(self, "policy", None)
        stock(self, attributes, now)
        if "Policy" not in attributes:
            self.policy = policy
        self.redrive_allow_policy = self.redrive_allow_policy or None

    return set_attributes


replace(sqs.Queue, "attributes", compact_redrive_policy)
replace(sqs.Queue, "_set_attributes", keeping_policy)

# aws_appautoscaling_target hangs: there are no tags.
_tags: dict[str, dict[str, str]] = {}


def registering_tags(stock: Any) -> Any:
    def register_scalable_target(self: Any) -> str:
        answer: str = stock(self)
        arn = json.loads(answer)["ScalableTargetARN"]
        _tags.setdefault(arn, {}).update(self._get_param("Tags") or {})
        return answer

    return register_scalable_target


def list_tags_for_resource(self: Any) -> str:
    return json.dumps({"Tags": _tags.get(self._get_param("ResourceARN"), {})})


replace(ApplicationAutoScalingResponse, "register_scalable_target", registering_tags)
ApplicationAutoScalingResponse.list_tags_for_resource = list_tags_for_resource

# The endpoint's configuration fails: moto's list of instance types is an old one.
_INSTANCE_TYPES = set(
    botocore.session.get_session()
    .get_service_model("sagemaker")
    .shape_for("ProductionVariantInstanceType")
    .enum
)


def validate_instance_type(self: Any, instance_type: str) -> None:
    if instance_type not in _INSTANCE_TYPES:
        raise sagemaker.ValidationError(message=f"unknown instance {instance_type!r}")


replace(
    sagemaker.FakeEndpointConfig,
    "validate_instance_type",
    lambda _: validate_instance_type,
)


def without_empty(key: str) -> Callable[[Any], Any]:
    """aws_sagemaker_model is replaced by every plan: it is told of an empty VPC."""

    def make(stock: Any) -> Any:
        def describe(self: Any) -> Any:
            answer = stock(self)
            body = json.loads(answer) if isinstance(answer, str) else answer.result
            if not body.get(key):
                body.pop(key, None)
            return json.dumps(body, default=str) if isinstance(answer, str) else answer

        return describe

    return make


replace(SageMakerResponse, "describe_model", without_empty("VpcConfig"))

KEPT = {
    "availabilityZoneRebalancing": "availability_zone_rebalancing",
    "capacityProviderStrategy": "capacity_provider_strategy",
    "deploymentConfiguration": "deployment_configuration",
    "enableExecuteCommand": "enable_execute_command",
    "healthCheckGracePeriodSeconds": "health_check_grace_period_seconds",
}


def keeping_members(stock: Any) -> Any:
    """aws_ecs_service drifts: what moto does not know it forgets."""

    def method(self: Any) -> Any:
        answer = stock(self)
        for name, attribute in KEPT.items():
            if (value := self._get_param(name)) is not None:
                setattr(answer.result["service"], attribute, value)
        return answer

    return method


replace(EC2ContainerServiceResponse, "create_service", keeping_members)
replace(EC2ContainerServiceResponse, "update_service", keeping_members)


def description(self: Any) -> str | None:
    """aws_vpc_security_group_*_rule drifts: of a rule between groups it is lost."""
    found: str | None = self.ip_range.get("Description")
    return found or (self.source_group or {}).get("Description")


replace(
    security_groups.SecurityGroupRule, "description", lambda _: property(description)
)


def by_the_user(stock: Any) -> Any:
    """aws_db_parameter_group drifts: it looks only at what a person has set."""

    def update_parameters(self: Any, parameters: list[dict[str, Any]]) -> None:
        stock(self, [{**parameter, "Source": "user"} for parameter in parameters])

    return update_parameters


def with_insights(stock: Any) -> Any:
    """aws_db_instance drifts: Performance Insights are forgotten."""

    def create_db_instance(self: Any, terms: dict[str, Any]) -> Any:
        made = stock(self, terms)
        made.performance_insights_enabled = bool(terms.get("EnablePerformanceInsights"))
        return made

    return create_db_instance


replace(rds.DBParameterGroup, "update_parameters", by_the_user)
replace(rds.RDSBackend, "create_db_instance", with_insights)


def knowing_transport(stock: Any) -> Any:
    """aws_s3_bucket_policy shuts everybody out: conditions of a Deny are ignored."""

    def is_action_permitted(self: Any, *args: Any, **more: Any) -> Any:
        condition = self._statement.get("Condition", {}).get("Bool", {})
        if self._statement["Effect"] == "Deny" and "aws:SecureTransport" in condition:
            return access_control.PermissionResult.NEUTRAL
        return stock(self, *args, **more)

    return is_action_permitted


replace(access_control.IAMPolicyStatement, "is_action_permitted", knowing_transport)


def without_source(stock: Any) -> Any:
    """aws_codebuild_project fails: where there is no source there is no place of it."""

    def validate(source: dict[str, Any]) -> None:
        if source["type"] != "NO_SOURCE":
            stock(source)

    return validate


def by_arn(stock: Any) -> Any:
    """aws_codebuild_project is not deleted: the provider names it by its ARN."""

    def delete_project(self: Any, project_name: str) -> None:
        stock(self, project_name.rpartition("/")[2])

    return delete_project


replace(codebuild_responses, "_validate_required_params_source", without_source)
replace(codebuild.CodeBuildBackend, "delete_project", by_arn)


if __name__ == "__main__":
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
