# Three queues carry Celery's messages, the doors' two what others send. The numbers are
# the application's own: workers/queues.json, which its settings read too.

locals {
  ladder = jsondecode(file("${path.module}/../../workers/queues.json"))

  # By one S3 and SageMaker say what has arrived, by the other come prompts, through SNS or
  # directly.
  doors      = ["arrivals", "video-jobs"]
  read_doors = concat(var.open_doors ? ["arrivals"] : [], local.story_iv ? ["video-jobs"] : [])

  queues = { for name in concat(local.ladder.celery, local.doors) : name => {
    celery     = contains(local.ladder.celery, name)
    visibility = local.ladder.visibility_seconds
    receives   = coalesce(var.dlq_max_receive_count, local.ladder.max_receive_count)
  } }
}

resource "aws_sqs_queue" "dead" {
  for_each = local.queues

  name                      = "${local.prefix}-${each.key}-dlq"
  message_retention_seconds = 1209600 # 14 days, the most: counted from when it was first sent
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "this" {
  for_each = local.queues

  name                       = "${local.prefix}-${each.key}"
  visibility_timeout_seconds = each.value.visibility
  message_retention_seconds  = 345600 # 4 days: ten are left in the dead-letter queue
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[each.key].arn
    maxReceiveCount     = each.value.receives
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  for_each = local.queues

  queue_url = aws_sqs_queue.dead[each.key].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this[each.key].arn]
  })
}

locals {
  from_bucket = { for bucket, arn in local.bucket_arns : bucket => {
    Principal = { Service = "s3.amazonaws.com" }
    Condition = {
      ArnEquals    = { "aws:SourceArn" = arn }
      StringEquals = { "aws:SourceAccount" = local.account_id }
    }
  } }
  topics = {
    "arrivals"   = values(local.sagemaker_topic_arns)
    "video-jobs" = var.video_job_topic_arns
  }
  from_topics = { for queue, topics in local.topics : queue => {
    Principal = { Service = "sns.amazonaws.com" }
    Condition = { ArnEquals = { "aws:SourceArn" = topics } }
  } if length(topics) > 0 }

  # A queue has one policy: everybody who may send to it stands in it.
  senders = { for door in local.doors : door => concat(
    door == "arrivals" ? values(local.from_bucket) : [],
    [for queue, sender in local.from_topics : sender if queue == door],
  ) }
  queue_policies = { for name in keys(local.queues) : name => jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = local.queue_arns[name]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      [for sender in lookup(local.senders, name, []) : merge(sender, {
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = local.queue_arns[name]
      })],
    )
  }) }
}

resource "aws_sqs_queue_policy" "this" {
  for_each = local.queues

  queue_url = aws_sqs_queue.this[each.key].id
  policy    = local.queue_policies[each.key]
}
