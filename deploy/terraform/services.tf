# What runs on Fargate. All of it is one image; the command says which part a task plays.

locals {
  celery = ["celery", "-A", "stereospot"]
  quiet  = ["--without-gossip", "--without-mingle", "--without-heartbeat"] # SQS has none of them

  # With an endpoint: as many segments as it has instances, and two that wait for one.
  in_flight = coalesce(var.inference_max_in_flight, local.sagemaker ? var.sagemaker_instance_count + 2 : 2)

  all_services = {
    "web-ui" = {
      cpu    = var.ecs_web_ui_cpu, memory = var.ecs_web_ui_memory, disk = 21
      fewest = var.ecs_web_ui_count, most = var.ecs_web_ui_count, queue = null
      spot   = false
      containers = {
        "web-ui" = { command = null } # the image's own
      }
    }
    "media-worker" = {
      cpu    = var.ecs_media_worker_cpu, memory = var.ecs_media_worker_memory, disk = var.ecs_media_worker_disk
      fewest = var.ecs_media_worker_min_capacity, most = var.ecs_media_worker_max_capacity, queue = "media"
      spot   = var.fargate_spot
      containers = {
        # One at a time: reading a stranger's film may take 6 GiB.
        "media-worker" = { command = concat(local.celery, ["worker", "-n", "media@%h", "-Q", "media", "-c", "1"], local.quiet) }
      }
    }
    "video-worker" = {
      cpu    = var.ecs_video_worker_cpu, memory = var.ecs_video_worker_memory, disk = 21
      fewest = var.ecs_video_worker_min_capacity, most = var.ecs_video_worker_max_capacity, queue = "gpu"
      spot   = var.fargate_spot
      containers = {
        "video-worker" = { command = concat(local.celery, ["worker", "-n", "gpu@%h", "-Q", "gpu", "-P", "threads", "-c", tostring(local.in_flight)], local.quiet) }
      }
    }
    "control" = {
      cpu    = 256, memory = 1024, disk = 21
      fewest = 1, most = 1, queue = null
      spot   = false
      containers = {
        "control" = { command = concat(local.celery, ["worker", "-n", "control@%h", "-Q", "control", "-P", "threads", "-c", "4"], local.quiet) }
        "beat"    = { command = concat(local.celery, ["beat", "-s", "tmp/beat", "--pidfile="]) }
      }
    }
    "bridge" = {
      cpu    = 256, memory = 512, disk = 21
      fewest = 1, most = 1, queue = null
      spot   = false
      containers = {
        "bridge" = { command = ["python", "/app/manage.py", "bridge"] }
      }
    }
    "flower" = {
      cpu    = 256, memory = 1024, disk = 21
      fewest = 1, most = 1, queue = null
      spot   = false
      containers = {
        "flower" = { command = ["celery", "-A", "stereospot.flower", "flower", "--address=0.0.0.0", "--port=${local.flower_port}"] }
      }
    }
  }
  wanted      = { "flower" = var.enable_flower, "bridge" = length(local.read_doors) > 0 }
  services    = { for name, facts in local.all_services : name => facts if lookup(local.wanted, name, true) }
  flower_port = 5555

  # Two of these at once would do the same twice, or see half.
  single = ["control", "flower"]

  environment = merge(
    {
      AWS_REGION             = var.region
      CELERY_BROKER_URL      = "sqs://"
      CLOUDWATCH_SYSTEM      = local.prefix
      CSRF_TRUSTED_ORIGINS   = local.site_origin
      DATABASE_SECRET_ARN    = aws_db_instance.main.master_user_secret[0].secret_arn
      DATABASE_URL           = local.database_url
      DJANGO_ALLOWED_HOSTS   = local.site_host
      DJANGO_SECURE          = tostring(local.https)
      INFERENCE_BACKEND      = var.inference_backend
      COST_URL               = "https://console.aws.amazon.com/costmanagement/home"
      LOG_LEVEL              = var.log_level
      LOGS_URL               = "https://${var.region}.console.aws.amazon.com/cloudwatch/home?region=${var.region}#logsV2:log-groups$3FlogGroupNameFilter$3D$252Fecs$252F${local.prefix}"
      MAX_SOURCE_GIGABYTES   = tostring(floor(var.ecs_media_worker_disk / 2.5)) # film and segments lie side by side
      RESULT_BUCKET          = local.buckets.result
      SEGMENT_SECONDS        = tostring(var.segment_seconds)
      SHUTDOWN_GRACE_SECONDS = tostring(local.stop_seconds - 10)
      SITE_URL               = local.site_origin
      SOURCE_BUCKET          = local.buckets.source
      TMPDIR                 = "/var/lib/stereospot/tmp" # all that may be written
      TRUSTED_PROXIES        = "1"                       # the load balancer
    },
    { for name in local.ladder.celery : "SQS_QUEUE_URL_${upper(name)}" => aws_sqs_queue.this[name].url },
    { INFERENCE_MAX_IN_FLIGHT = tostring(local.in_flight) },
    { for door in local.read_doors : "BRIDGE_QUEUE_URL_${replace(upper(door), "-", "_")}" => aws_sqs_queue.this[door].url },
    length(local.read_doors) > 0 ? { BRIDGE_TOPICS = join(",", flatten([for door in local.read_doors : local.topics[door]])) } : {},
    local.story_iv ? { STORY_BUCKET = local.story_bucket } : {},
    local.story_table == null ? {} : { STORY_TABLE = local.story_table },
    var.enable_flower ? { FLOWER_URL = "http://flower.${local.namespace}:${local.flower_port}" } : {},
    local.sagemaker ? {
      SAGEMAKER_ENDPOINT_NAME          = local.endpoint_name
      SAGEMAKER_REGION                 = var.region
      SAGEMAKER_INVOKE_TIMEOUT_SECONDS = tostring(var.sagemaker_invoke_timeout_seconds)
    } : { INFERENCE_HTTP_URL = local.inference_url },
    var.site_environment,
  )
  handed = merge(
    {
      DJANGO_SECRET_KEY = local.secret_arns["django-key"]
      PGPASSWORD        = local.database_password
    },
    local.http ? { INFERENCE_TOKEN = local.secret_arns["inference-token"] } : {},
    var.enable_flower ? { FLOWER_BASIC_AUTH = local.secret_arns["flower-login"] } : {},
    var.site_secrets,
  )

  stop_seconds = 120 # Fargate's most; what does not fit is put back into its queue

  # Every container of our image.
  base = {
    image                  = local.app_image
    user                   = "10001"
    readonlyRootFilesystem = true
    stopTimeout            = local.stop_seconds
    linuxParameters        = { initProcessEnabled = true }
    mountPoints            = [{ sourceVolume = "tmp", containerPath = "/var/lib/stereospot/tmp", readOnly = false }]
    environment            = [for name in sort(keys(local.environment)) : { name = name, value = local.environment[name] }]
    secrets                = [for name in sort(keys(local.handed)) : { name = name, valueFrom = local.handed[name] }]
  }

  # The image's own, which ECS does not look at: it knows what each container is to be.
  health_check = {
    command     = ["CMD", "python", "-m", "stereospot.health", "127.0.0.1:8000"]
    interval    = 30
    timeout     = 10
    retries     = 3
    startPeriod = 60
  }

  # Before anything else in a task starts, the ledger has the tables that this image wants.
  # Of many tasks one migrates and the others wait for it: an advisory lock.
  migrate = { command = ["python", "/app/manage.py", "migrate", "--no-input"] }

  containers = { for service, facts in local.services : service => concat(
    [merge(local.base, {
      name             = "migrate"
      essential        = false
      command          = local.migrate.command
      logConfiguration = local.logs[service]
    })],
    [for name, container in facts.containers : merge(
      local.base,
      {
        name             = name
        essential        = true
        healthCheck      = local.health_check
        dependsOn        = [{ containerName = "migrate", condition = "SUCCESS" }]
        logConfiguration = local.logs[service]
      },
      container.command == null ? {} : { command = container.command },
      name == "web-ui" ? { portMappings = [{ containerPort = 8000, hostPort = 8000, protocol = "tcp" }] } : {},
    )],
  ) }

  logs = { for service in keys(local.services) : service => {
    logDriver = "awslogs"
    options = {
      "awslogs-group"         = "/ecs/${local.prefix}/${service}"
      "awslogs-region"        = var.region
      "awslogs-stream-prefix" = "ecs"
    }
  } }
}

resource "aws_ecs_task_definition" "this" {
  for_each = local.services

  family                   = "${local.prefix}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task[each.key].arn
  container_definitions    = jsonencode(local.containers[each.key])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }
  ephemeral_storage {
    size_in_gib = each.value.disk
  }
  volume {
    name = "tmp"
  }
}

resource "aws_ecs_service" "this" {
  # First there has to be an image.
  for_each = { for name, facts in local.services : name => facts if var.ecs_image_tag != "" }

  name            = each.key
  cluster         = aws_ecs_cluster.main.id
  task_definition = aws_ecs_task_definition.this[each.key].arn
  desired_count   = each.value.fewest
  propagate_tags  = "SERVICE"

  deployment_minimum_healthy_percent = contains(local.single, each.key) ? 0 : 100
  deployment_maximum_percent         = contains(local.single, each.key) ? 100 : 200
  availability_zone_rebalancing      = contains(local.single, each.key) ? "DISABLED" : "ENABLED"
  health_check_grace_period_seconds  = each.key == "web-ui" ? 180 : null # migrations first

  capacity_provider_strategy {
    capacity_provider = each.value.spot ? "FARGATE_SPOT" : "FARGATE"
    weight            = 1
  }
  # What does not become healthy is taken back to the version before.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  network_configuration {
    subnets          = [for subnet in aws_subnet.private : subnet.id]
    security_groups  = [aws_security_group.this[each.key == "web-ui" ? "web" : "workers"].id]
    assign_public_ip = false
  }
  dynamic "load_balancer" {
    for_each = each.key == "web-ui" ? [8000] : []

    content {
      target_group_arn = aws_lb_target_group.web.arn
      container_name   = "web-ui"
      container_port   = load_balancer.value
    }
  }

  dynamic "service_registries" {
    for_each = each.key == "flower" ? aws_service_discovery_service.flower[*].arn : []

    content {
      registry_arn = service_registries.value
    }
  }

  lifecycle {
    ignore_changes = [desired_count] # scaling's
  }

  depends_on = [
    aws_ecs_cluster_capacity_providers.main,
    aws_iam_role_policy.execution,
    aws_iam_role_policy.task,
    aws_lb_listener.http,
    aws_lb_listener.https,
    aws_route_table_association.private,
  ]
}
