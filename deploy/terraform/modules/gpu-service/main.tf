# The inference server on an ECS cluster's own GPU instance: one task, one card. It starts
# when the queue has something, and the instance goes when it has had nothing for a while.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

locals {
  name = "${var.prefix}-gpu"
  home = "/var/lib/stereospot" # weights and compiled kernels, kept while the instance lives
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecs/${var.prefix}/inference"
  retention_in_days = var.log_days
}

resource "aws_iam_role" "task" {
  name               = "${var.prefix}-inference-task"
  assume_role_policy = var.trust["ecs-tasks"]
}

resource "aws_iam_role_policy" "task" {
  name   = "convert"
  role   = aws_iam_role.task.id
  policy = jsonencode({ Version = "2012-10-17", Statement = var.statements })
}

resource "aws_ecs_task_definition" "this" {
  family                   = "${var.prefix}-inference"
  requires_compatibilities = ["EC2"]
  network_mode             = "awsvpc"
  memory                   = var.memory
  execution_role_arn       = var.execution_role_arn
  task_role_arn            = aws_iam_role.task.arn

  container_definitions = jsonencode([{
    name                 = "inference"
    image                = var.image
    essential            = true
    command              = ["serve"]
    user                 = "10001"
    stopTimeout          = 110 # Spot gives two minutes
    memory               = var.memory
    resourceRequirements = [{ type = "GPU", value = "1" }]
    portMappings         = [{ containerPort = var.app_port, hostPort = var.app_port, protocol = "tcp" }]
    mountPoints          = [{ sourceVolume = "home", containerPath = local.home, readOnly = false }]
    environment          = [for name in sort(keys(var.environment)) : { name = name, value = var.environment[name] }]
    secrets              = [for name in sort(keys(var.secrets)) : { name = name, valueFrom = var.secrets[name] }]
    healthCheck = { # green when the engines are loaded: weights come first
      command     = ["CMD", "python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:${var.app_port}/ping', timeout=4)"]
      interval    = 60
      timeout     = 5
      retries     = 10
      startPeriod = 300
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.this.name
        "awslogs-region"        = var.region
        "awslogs-stream-prefix" = "ecs"
      }
    }
  }])

  volume {
    name      = "home"
    host_path = local.home
  }
}

resource "aws_ecs_service" "this" {
  name            = "inference"
  cluster         = var.cluster.arn
  task_definition = aws_ecs_task_definition.this.arn
  desired_count   = var.app_count
  propagate_tags  = "SERVICE"

  # One card: the old one has to go before the new one can come.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.this.name
    weight            = 100
  }
  network_configuration {
    subnets         = var.network.subnet_ids
    security_groups = [var.network.security_group_id]
  }
  service_registries {
    registry_arn = aws_service_discovery_service.this.arn
  }

  lifecycle {
    ignore_changes = [desired_count] # scaling's
  }

  depends_on = [aws_iam_role_policy.task]
}

# http://inference.stereo-spot.internal:8080
resource "aws_service_discovery_service" "this" {
  name = "inference"

  dns_config {
    namespace_id = var.namespace.id

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
  health_check_custom_config {
    failure_threshold = 1
  }
}
