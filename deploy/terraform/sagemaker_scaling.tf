# The endpoint's instances: none at rest, one as soon as a request waits, more by backlog.

resource "aws_appautoscaling_target" "endpoint" {
  count = local.endpoint

  service_namespace  = "sagemaker"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  resource_id        = "endpoint/${aws_sagemaker_endpoint.inference[0].name}/variant/AllTraffic"
  min_capacity       = var.sagemaker_min_instance_count
  max_capacity       = var.sagemaker_instance_count
}

# Without it a request would wait until the backlog exceeds the target below.
resource "aws_appautoscaling_policy" "endpoint_wake" {
  count = local.endpoint

  name               = "${local.endpoint_name}-wake"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.endpoint[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.endpoint[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.endpoint[0].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Average"
    cooldown                = 900 # an instance and its weights

    step_adjustment {
      metric_interval_lower_bound = 0
      scaling_adjustment          = 1
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "endpoint_wake" {
  count = local.endpoint

  alarm_name          = "${local.endpoint_name}-wake"
  alarm_description   = "Scaling, nothing to do: requests wait, and the endpoint has no instance"
  namespace           = "AWS/SageMaker"
  metric_name         = "HasBacklogWithoutCapacity"
  dimensions          = { EndpointName = local.endpoint_name }
  statistic           = "Average"
  period              = 60
  evaluation_periods  = 2
  datapoints_to_alarm = 2
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "missing"
  alarm_actions       = [aws_appautoscaling_policy.endpoint_wake[0].arn]
}

resource "aws_appautoscaling_policy" "endpoint_share" {
  count = local.endpoint

  name               = "${local.endpoint_name}-share"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.endpoint[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.endpoint[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.endpoint[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = 2
    scale_in_cooldown  = 600
    scale_out_cooldown = 300

    customized_metric_specification {
      namespace   = "AWS/SageMaker"
      metric_name = "ApproximateBacklogSizePerInstance"
      statistic   = "Average"

      dimensions {
        name  = "EndpointName"
        value = local.endpoint_name
      }
    }
  }
}
