resource "aws_ecs_cluster" "main" {
  name = local.prefix

  setting { # what is wanted of it, the sweep publishes for a tenth of its price
    name  = "containerInsights"
    value = "disabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "main" {
  cluster_name       = aws_ecs_cluster.main.name
  capacity_providers = concat(["FARGATE", "FARGATE_SPOT"], [for provider in module.gpu : provider.capacity_provider])

  default_capacity_provider_strategy {
    capacity_provider = "FARGATE"
    weight            = 1
  }
}

resource "aws_cloudwatch_log_group" "service" {
  for_each = local.services

  name              = "/ecs/${local.prefix}/${each.key}"
  retention_in_days = var.log_days
}

# Names inside the VPC, for who is asked by others.
locals {
  namespace = "${local.prefix}.internal"
}

resource "aws_service_discovery_private_dns_namespace" "main" {
  name = local.namespace
  vpc  = aws_vpc.main.id
}

resource "aws_service_discovery_service" "flower" {
  count = var.enable_flower ? 1 : 0

  name = "flower"

  dns_config {
    namespace_id = aws_service_discovery_private_dns_namespace.main.id

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
  health_check_custom_config {
    failure_threshold = 1
  }
}
