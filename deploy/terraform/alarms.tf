# Every alarm here is for a person, and says what to do. (Those that only scale are called
# "Scaling, nothing to do", and lead to no topic.)

locals {
  sqs_alarms = merge(
    { for name, queue in local.queues : "${name}-dlq-messages" => {
      namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = "${local.prefix}-${name}-dlq" }
      above     = 0, minutes = queue.celery ? 5 : 1, missing = "notBreaching" # the sweep empties Celery's, at once
      do        = queue.celery ? "The sweep does not empty the dead-letter queue of ${name}: look at the service control." : "A message of ${name} could not be read: look at it in the dead-letter queue, mend its sender, redrive."
    } },
    { for name, queue in local.queues : "${name}-oldest-message" => {
      namespace = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", dimensions = { QueueName = "${local.prefix}-${name}" }
      above     = queue.celery ? local.ladder.visibility_cap_seconds + 600 : 900, minutes = 15, missing = "notBreaching"
      do        = "A message of ${name} is older than any task may last: is a worker of it alive?"
    } },
  )

  ledger_alarms = var.ecs_image_tag == "" ? {} : {
    "stuck-jobs" = {
      namespace = "StereoSpot", metric = "StuckJobs", dimensions = { System = local.prefix }
      above     = 0, minutes = 5, missing = "notBreaching"
      do        = "Nobody has worked at a film for an hour: the jobs' list in the admin says which; manage.py sweep, then the logs of its stage."
    }
    "dead-letters" = {
      namespace = "StereoSpot", metric = "DeadLetters", dimensions = { System = local.prefix }
      above     = 0, minutes = 1, missing = "notBreaching"
      do        = "A message was given up: Dead letters in the admin says why. Redrive or discard it."
    }
    "waiting-for-gpu" = {
      namespace = "StereoSpot", metric = "OldestWaitingSeconds", dimensions = { System = local.prefix, Queue = "gpu" }
      above     = 3600, minutes = 15, missing = "notBreaching"
      do        = "A segment has waited for an hour: does the endpoint come up (its log), are there more films than instances (sagemaker_instance_count)?"
    }
    "waiting-for-media" = {
      namespace = "StereoSpot", metric = "OldestWaitingSeconds", dimensions = { System = local.prefix, Queue = "media" }
      above     = 1800, minutes = 15, missing = "notBreaching"
      do        = "A film has waited for half an hour to be cut or joined: look at the service media-worker."
    }
  }

  alarms = merge(
    local.sqs_alarms,
    local.ledger_alarms,
    {
      "database-cpu" = {
        namespace = "AWS/RDS", metric = "CPUUtilization", dimensions = { DBInstanceIdentifier = local.prefix }
        above     = 90, minutes = 15, missing = "notBreaching"
        do        = "The ledger's server is busy: Performance Insights says with what; a larger database_instance_class."
      }
    },
    local.endpoint == 0 ? {} : {
      "endpoint-oldest-request" = {
        namespace = "AWS/SageMaker", metric = "ApproximateAgeOfOldestRequest", dimensions = { EndpointName = local.endpoint_name }
        above     = 2700, minutes = 5, missing = "notBreaching"
        do        = "The endpoint's queue keeps a request for an hour: more instances, or an endpoint that does not start (its log)."
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "above" {
  for_each = local.alarms

  alarm_name          = "${local.prefix}-${each.key}"
  alarm_description   = each.value.do
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = each.value.minutes
  threshold           = each.value.above
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# The sweep finds whatever was lost; if it stops, nobody would.
resource "aws_cloudwatch_metric_alarm" "sweep_silent" {
  count = var.ecs_image_tag == "" ? 0 : 1

  alarm_name          = "${local.prefix}-sweep-silent"
  alarm_description   = "No sweep for five minutes: look at the service control, its worker and beat."
  namespace           = "StereoSpot"
  metric_name         = "StuckJobs"
  dimensions          = { System = local.prefix }
  statistic           = "SampleCount"
  period              = 60
  evaluation_periods  = 5
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "database_disk" {
  alarm_name          = "${local.prefix}-database-disk"
  alarm_description   = "Less than 2 GB free, although the disk grows by itself: raise database_max_gigabytes."
  namespace           = "AWS/RDS"
  metric_name         = "FreeStorageSpace"
  dimensions          = { DBInstanceIdentifier = local.prefix }
  statistic           = "Minimum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 2000000000
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "site_down" {
  count = var.ecs_image_tag == "" ? 0 : 1

  alarm_name          = "${local.prefix}-site-down"
  alarm_description   = "No task of the site is healthy: look at the service web-ui, its events and log."
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HealthyHostCount"
  dimensions          = { LoadBalancer = aws_lb.web.arn_suffix, TargetGroup = aws_lb_target_group.web.arn_suffix }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "site_errors" {
  alarm_name          = "${local.prefix}-site-errors"
  alarm_description   = "More than 5 % of requests end in a server's error: the log of web-ui has tracebacks, level error."
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 3
  threshold           = 5
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "percent"
    label       = "requests that end in 5xx, in percent"
    expression  = "100 * errors / requests"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = { errors = "HTTPCode_Target_5XX_Count", requests = "RequestCount" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = metric_query.value
        dimensions  = { LoadBalancer = aws_lb.web.arn_suffix }
        period      = 60
        stat        = "Sum"
      }
    }
  }
}
