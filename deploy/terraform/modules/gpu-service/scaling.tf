# One server or none: workers ask one address, where the same invocation twice has to meet
# the same server. For more cards at once there is SageMaker.

resource "aws_appautoscaling_target" "this" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster.name}/${aws_ecs_service.this.name}"
  min_capacity       = var.app_count
  max_capacity       = 1
}

locals {
  # Exact: a server that waits for an instance must not be asked for twice.
  steps = {
    wake = { capacity = 1, operator = "GreaterThanThreshold", minutes = 1, lower = 0, upper = null, why = "segments wait" }
    rest = { capacity = var.app_count, operator = "LessThanOrEqualToThreshold", minutes = 15, lower = null, upper = 0, why = "nothing has waited for a quarter of an hour" }
  }
}

resource "aws_appautoscaling_policy" "this" {
  for_each = local.steps

  name               = "${local.name}-${each.key}"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  step_scaling_policy_configuration {
    adjustment_type = "ExactCapacity"
    cooldown        = 60

    step_adjustment {
      metric_interval_lower_bound = each.value.lower
      metric_interval_upper_bound = each.value.upper
      scaling_adjustment          = each.value.capacity
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.steps

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = "Scaling, nothing to do: ${each.value.why}"
  comparison_operator = each.value.operator
  evaluation_periods  = each.value.minutes
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.this[each.key].arn]

  metric_query {
    id          = "work"
    label       = "waiting and in hand"
    expression  = "waiting + in_hand"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = {
      waiting = "ApproximateNumberOfMessagesVisible"
      in_hand = "ApproximateNumberOfMessagesNotVisible"
    }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value
        dimensions  = { QueueName = var.sqs_name }
        period      = 60
        stat        = "Maximum"
      }
    }
  }
}
