# One role for each kind of task, with what that one does and no more.

locals {
  trust = { for service in ["ecs-tasks", "sagemaker", "codebuild", "vpc-flow-logs", "ec2"] : service => jsonencode({
    Version = "2012-10-17"
    Statement = [merge(
      {
        Effect    = "Allow"
        Principal = { Service = "${service}.amazonaws.com" }
        Action    = "sts:AssumeRole"
      },
      # Nobody else's account may have these services act as us. EC2 sends no account.
      service == "ec2" ? {} : { Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } } },
    )]
  }) }

  objects = {
    sources   = "${local.bucket_arns.source}/input/*"
    clips     = "${local.bucket_arns.source}/input/*/source.mp4"
    segments  = "${local.bucket_arns.source}/segments/*"
    results   = "${local.bucket_arns.result}/jobs/*"
    answers   = "${local.bucket_arns.result}/sagemaker/*"
    anything  = [for arn in values(local.bucket_arns) : "${arn}/*"]
    any_films = ["${local.bucket_arns.source}/input/*", "${local.bucket_arns.source}/segments/*", "${local.bucket_arns.result}/jobs/*"]
  }

  celery_queues = [for name in local.ladder.celery : local.queue_arns[name]]
  celery_dlqs   = [for name in local.ladder.celery : local.dlq_arns[name]]

  may = {
    send = {
      Action   = ["sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
      Resource = local.celery_queues
    }
    take = { for name in local.ladder.celery : name => {
      Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
      Resource = [local.queue_arns[name]]
    } }
    list    = { Action = ["s3:ListBucket"], Resource = values(local.bucket_arns) }
    sign_in = { Action = ["secretsmanager:GetSecretValue"], Resource = [aws_db_instance.main.master_user_secret[0].secret_arn] }
  }

  # What each service does with AWS; see the task that is named.
  statements = {
    "web-ui" = [
      local.may.send, # films to chunk, jobs to tidy
      local.may.list, # whether an upload has arrived: without it a missing object is "forbidden"
      {               # signed links for the parts of an upload; the finished film
        Action   = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = [local.objects.sources]
      },
      { Action = ["s3:GetObject"], Resource = [local.objects.results] },
    ]
    "media-worker" = [ # chunk, concat, tidy; ingest, from drop folders
      { Action = ["s3:GetObject"], Resource = ["${local.bucket_arns.source}/drop/*"] },
      local.may.send,
      local.may.take.media,
      { # what was never finished, to abort
        Action   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = values(local.bucket_arns)
      },
      {
        Action   = ["s3:GetObject", "s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = local.objects.any_films
      },
    ]
    "video-worker" = concat( # infer, generate
      [
        local.may.send,
        local.may.take.gpu,
        local.may.list,
        { # the segment; the request to the endpoint
          Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
          Resource = [local.objects.segments]
        },
        { # what came back, to look at; a void attempt's, to delete
          Action   = ["s3:GetObject", "s3:DeleteObject"]
          Resource = [local.objects.results, local.objects.clips]
        },
      ],
      local.sagemaker ? [
        { Action = ["s3:GetObject"], Resource = [local.objects.answers] },
        {
          Action   = ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync", "sagemaker:DescribeEndpoint"]
          Resource = ["${local.arn_of.sagemaker}:endpoint/${local.endpoint_name}"]
        },
      ] : [],
    )
    "control" = concat( # sweep
      [
        local.may.send,
        local.may.take.control,
        { # dead letters become facts of the ledger
          Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
          Resource = local.celery_dlqs
        },
        local.may.list,
        { Action = ["s3:GetObject"], Resource = local.objects.any_films },
        { # CloudWatch has no narrower resource; the condition names the namespace
          Action    = ["cloudwatch:PutMetricData"]
          Resource  = ["*"]
          Condition = { StringEquals = { "cloudwatch:namespace" = "StereoSpot" } }
        },
      ],
      local.sagemaker ? [{ Action = ["s3:GetObject"], Resource = [local.objects.answers] }] : [],
      local.story_iv ? [ # clips and their status, where the producer looks for them
        { Action = ["s3:PutObject", "s3:AbortMultipartUpload"], Resource = ["arn:${local.partition}:s3:::${local.story_bucket}/*"] },
      ] : [],
      local.story_table == null ? [] : [{ Action = ["dynamodb:UpdateItem"], Resource = ["${local.arn_of.dynamodb}:table/${local.story_table}"] }],
    )
    "bridge" = [ # what others say; what nobody understands it puts aside itself
      local.may.send,
      {
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
        Resource = [for door in local.read_doors : local.queue_arns[door]]
      },
      { Action = ["sqs:SendMessage", "sqs:GetQueueUrl"], Resource = [for door in local.read_doors : local.dlq_arns[door]] },
      local.may.list,
      { Action = ["s3:GetObject"], Resource = local.objects.any_films },
    ]
    "flower" = [ # it hears workers over PostgreSQL; its page of queues asks SQS
      { Action = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"], Resource = local.celery_queues },
    ]
  }
}

resource "aws_iam_role" "task" {
  for_each = local.services

  name               = "${local.prefix}-${each.key}-task"
  assume_role_policy = local.trust["ecs-tasks"]
}

resource "aws_iam_role_policy" "task" {
  for_each = local.services

  name = "work"
  role = aws_iam_role.task[each.key].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in concat(local.statements[each.key], [local.may.sign_in]) : merge({ Effect = "Allow" }, statement)]
  })
}

# What ECS itself does to start a task: pull, log, and hand over secrets. No task has it.
resource "aws_iam_role" "execution" {
  name               = "${local.prefix}-ecs-task-execution"
  assume_role_policy = local.trust["ecs-tasks"]
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.may_pull, [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${local.arn_of.logs}:log-group:/ecs/${local.prefix}/*:*"
      },
      {
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = concat(values(local.secret_arns), values(var.site_secrets), [aws_db_instance.main.master_user_secret[0].secret_arn])
      },
    ])
  })
}

locals {
  may_pull = [
    { # the registry's login has no resource
      Effect   = "Allow"
      Action   = ["ecr:GetAuthorizationToken"]
      Resource = "*"
    },
    {
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = [for name in keys(local.images) : "${local.arn_of.ecr}:repository/${local.prefix}-${name}"]
    },
  ]
}
