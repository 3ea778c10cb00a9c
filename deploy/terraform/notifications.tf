# S3 tells the queue arrivals what has arrived. The events are hints: the ledger knows without
# them, but for drop folders. S3 refuses rules that overlap, so each prefix has one.

locals {
  told_of = {
    source = { "input/" = null, "drop/" = null } # in any container
    result = { "jobs/" = ".mp4" }                # stereo segments are always that
  }
}

resource "aws_s3_bucket_notification" "this" {
  for_each = { for bucket, prefixes in local.told_of : bucket => prefixes if var.open_doors }

  bucket = aws_s3_bucket.this[each.key].id

  dynamic "queue" {
    for_each = each.value

    content {
      id            = trimsuffix(queue.key, "/")
      queue_arn     = aws_sqs_queue.this["arrivals"].arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = queue.key
      filter_suffix = queue.value
    }
  }

  depends_on = [aws_sqs_queue_policy.this]
}

# SageMaker publishes each answer of its own accord; both topics lead to the same queue.
resource "aws_sns_topic" "sagemaker" {
  for_each = local.sagemaker_topic_arns

  name              = reverse(split(":", each.value))[0]
  kms_master_key_id = "alias/aws/sns"
}

resource "aws_sns_topic_subscription" "sagemaker" {
  for_each = local.sagemaker_topic_arns

  topic_arn            = aws_sns_topic.sagemaker[each.key].arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.this["arrivals"].arn
  raw_message_delivery = true
}

locals {
  sagemaker_topic_arns = { for outcome in local.sagemaker && var.open_doors ? ["success", "error"] : [] :
    outcome => "${local.arn_of.sns}:${local.prefix}-inference-${outcome}"
  }
}
