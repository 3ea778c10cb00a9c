# inference_backend = "http": the inference server is your own (inference_http_url), or, with
# no address given, one on a GPU instance of this cluster, Spot unless you say otherwise. It
# converts, and makes films from prompts.

locals {
  http         = var.inference_backend == "http"
  own_server   = local.http && var.inference_http_url == ""
  gpu_services = local.own_server && var.inference_image_tag != "" ? toset(["inference"]) : toset([])
  # The same whether the server is there yet or not.
  inference_url = local.own_server ? "http://inference.${local.namespace}:${var.app_port}" : var.inference_http_url
}

module "gpu" {
  source   = "./modules/gpu-service"
  for_each = local.gpu_services

  prefix = local.prefix
  region = var.region
  cluster = {
    name = aws_ecs_cluster.main.name
    arn  = "${local.arn_of.ecs}:cluster/${local.prefix}"
  }
  network = {
    subnet_ids        = [for subnet in aws_subnet.private : subnet.id]
    security_group_id = aws_security_group.this["inference"].id
  }

  namespace = {
    id   = aws_service_discovery_private_dns_namespace.main.id
    name = local.namespace
  }

  image                = local.inference_image
  execution_role_arn   = aws_iam_role.execution.arn
  trust                = { ecs-tasks = local.trust["ecs-tasks"], ec2 = local.trust["ec2"] }
  statements           = local.may_convert
  environment          = merge(local.engine_environment, { PORT = tostring(var.app_port), SHUTDOWN_GRACE_SECONDS = "100", HF_TOKEN_ARN = local.secret_arns["hf-token"] })
  secrets              = { INFERENCE_TOKEN = local.secret_arns["inference-token"] }
  app_port             = var.app_port
  app_count            = var.app_count
  gpu_ami_id           = var.gpu_ami_id
  gpu_instance_types   = concat([var.gpu_instance_type], var.gpu_other_instance_types)
  memory               = var.memory
  on_demand_percentage = var.gpu_on_demand_percentage
  sqs_name             = aws_sqs_queue.this["gpu"].name
  log_days             = var.log_days
}
