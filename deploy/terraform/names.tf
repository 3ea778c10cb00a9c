# Names are known before anything exists, so that policies name exactly what they are about,
# and tests can read them in a plan.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

data "aws_availability_zones" "available" {
  state = "available"

  filter { # no Local Zones: they have neither RDS nor Fargate
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  prefix     = var.name_prefix
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  buckets = {
    source = "${local.prefix}-input-${local.account_id}"
    result = "${local.prefix}-output-${local.account_id}"
  }
  bucket_arns = { for name, bucket in local.buckets : name => "arn:${local.partition}:s3:::${bucket}" }

  arn_of = { for service in ["sqs", "sns", "secretsmanager", "ecr", "ecs", "logs", "sagemaker", "kms", "cloudwatch", "dynamodb"] :
    service => "arn:${local.partition}:${service}:${var.region}:${local.account_id}"
  }
  queue_arns = { for name in keys(local.queues) : name => "${local.arn_of.sqs}:${local.prefix}-${name}" }
  dlq_arns   = { for name in keys(local.queues) : name => "${local.arn_of.sqs}:${local.prefix}-${name}-dlq" }
}
