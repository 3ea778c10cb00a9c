# S3 tells the doors' queues what arrived. The events are hints: the ledger knows without them.
# S3 refuses rules whose prefixes and suffixes overlap, so each prefix has one rule.

resource "aws_s3_bucket_notification" "source" {
  count = var.open_doors ? 1 : 0

  bucket = aws_s3_bucket.this["source"].id

  queue {
    id            = "sources"
    queue_arn     = aws_sqs_queue.this["chunking"].arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "input/"
  }

  depends_on = [aws_sqs_queue_policy.this]
}

resource "aws_s3_bucket_notification" "result" {
  count = var.open_doors ? 1 : 0

  bucket = aws_s3_bucket.this["result"].id

  queue {
    id            = "stereo-segments"
    queue_arn     = aws_sqs_queue.this["segment-output"].arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "jobs/"
    filter_suffix = ".mp4"
  }

  depends_on = [aws_sqs_queue_policy.this]
}

# SageMaker publishes each answer of its own accord; both topics lead to one queue.
resource "aws_sns_topic" "sagemaker" {
  for_each = local.sagemaker_topic_arns

  name              = reverse(split(":", each.value))[0]
  kms_master_key_id = "alias/aws/sns"
}

resource "aws_sns_topic_subscription" "sagemaker" {
  for_each = local.sagemaker_topic_arns

  topic_arn            = aws_sns_topic.sagemaker[each.key].arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.this["segment-output"].arn
  raw_message_delivery = true
}

locals {
  sagemaker_topic_arns = { for outcome in local.sagemaker && var.open_doors ? ["success", "error"] : [] :
    outcome => "${local.arn_of.sns}:${local.prefix}-inference-${outcome}"
  }
}
