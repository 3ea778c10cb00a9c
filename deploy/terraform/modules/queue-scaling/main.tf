# Three policies, because each is blind where the others see.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

resource "aws_appautoscaling_target" "this" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster}/${var.service}"
  min_capacity       = var.fewest
  max_capacity       = var.most
}

# 0 → 1. Tracking a target multiplies what there is, and nothing times anything is nothing.
# ChangeInCapacity, never ExactCapacity: an alarm that lasts would pull ten tasks down to one.
resource "aws_appautoscaling_policy" "wake" {
  name               = "${var.name}-wake"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 180 # longer than a task takes to start

    step_adjustment {
      metric_interval_lower_bound = 0
      scaling_adjustment          = 1
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "wake" {
  alarm_name          = "${var.name}-wake"
  alarm_description   = "Scaling, nothing to do: messages wait, and no worker lives"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  evaluation_periods  = 1
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.wake.arn]

  metric_query {
    id          = "asleep"
    label       = "messages without a worker"
    expression  = "IF(backlog > 0 AND workers < 1, 1, 0)"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = { backlog = "BacklogPerTask", workers = "Workers" }

    content {
      id = metric_query.key

      metric {
        namespace   = "StereoSpot"
        metric_name = metric_query.value
        dimensions  = { System = var.system, Queue = var.queue }
        period      = 60
        stat        = "Maximum"
      }
    }
  }
}

# 1 → N, by the messages that wait for each worker. It never takes a task away: the task
# might have a film in hand.
resource "aws_appautoscaling_policy" "share" {
  name               = "${var.name}-share"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.per_task
    disable_scale_in   = true
    scale_out_cooldown = 120

    customized_metric_specification {
      namespace   = "StereoSpot"
      metric_name = "BacklogPerTask"
      statistic   = "Average"

      dimensions {
        name  = "System"
        value = var.system
      }
      dimensions {
        name  = "Queue"
        value = var.queue
      }
    }
  }
}

# N → fewest, once there has been nothing for ten minutes: nothing waits, nothing is in hand.
resource "aws_appautoscaling_policy" "rest" {
  name               = "${var.name}-rest"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  step_scaling_policy_configuration {
    adjustment_type = "ExactCapacity"
    cooldown        = 300

    step_adjustment {
      metric_interval_upper_bound = 0
      scaling_adjustment          = var.fewest
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "rest" {
  alarm_name          = "${var.name}-rest"
  alarm_description   = "Scaling, nothing to do: the queue has been empty for ten minutes"
  comparison_operator = "LessThanOrEqualToThreshold"
  evaluation_periods  = 10
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.rest.arn]

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
