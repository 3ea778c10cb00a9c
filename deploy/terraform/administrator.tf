# The first administrator is made by a task that is run once, by hand (README.md), and again
# does nothing. Only this one is handed the first password.

resource "aws_ecs_task_definition" "administrator" {
  family                   = "${local.prefix}-administrator"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([merge(local.base, {
    name             = "administrator"
    essential        = true
    command          = ["python", "/app/manage.py", "administrator"]
    environment      = concat(local.base.environment, [{ name = "DJANGO_SUPERUSER_EMAIL", value = var.admin_email }])
    secrets          = concat(local.base.secrets, [{ name = "DJANGO_SUPERUSER_PASSWORD", valueFrom = local.secret_arns["admin-password"] }])
    logConfiguration = local.logs["web-ui"]
  })])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }
  volume {
    name = "tmp"
  }
}

locals {
  admin_task = {
    cluster        = local.prefix
    taskDefinition = aws_ecs_task_definition.administrator.family
    launchType     = "FARGATE"
    networkConfiguration = { awsvpcConfiguration = {
      subnets        = [for subnet in aws_subnet.private : subnet.id]
      securityGroups = [aws_security_group.this["web"].id]
      assignPublicIp = "DISABLED"
    } }
  }
}
