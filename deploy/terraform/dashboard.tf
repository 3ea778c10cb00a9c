# One page for whoever was woken: is something waiting, who works, what does it cost.

locals {
  widgets = [
    { title = "Stuck jobs and dead letters", stat = "Maximum", metrics = [
      ["StereoSpot", "StuckJobs", "System", local.prefix],
      ["StereoSpot", "DeadLetters", "System", local.prefix],
    ] },
    { title = "Workers that live", stat = "Maximum", metrics = [for queue in local.ladder.celery :
      ["StereoSpot", "Workers", "System", local.prefix, "Queue", queue]
    ] },
    { title = "Messages that wait for each worker", stat = "Maximum", metrics = [for queue in local.ladder.celery :
      ["StereoSpot", "BacklogPerTask", "System", local.prefix, "Queue", queue]
    ] },
    { title = "Waiting longest, seconds", stat = "Maximum", metrics = [for queue in ["media", "gpu"] :
      ["StereoSpot", "OldestWaitingSeconds", "System", local.prefix, "Queue", queue]
    ] },
    { title = "Messages in the queues", stat = "Maximum", metrics = [for queue in keys(local.queues) :
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${local.prefix}-${queue}"]
    ] },
    { title = "Messages in hand", stat = "Maximum", metrics = [for queue in keys(local.queues) :
      ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", "${local.prefix}-${queue}"]
    ] },
    { title = "Endpoint: instances' backlog", stat = "Maximum", metrics = [
      ["AWS/SageMaker", "ApproximateBacklogSize", "EndpointName", local.endpoint_name],
      ["AWS/SageMaker", "HasBacklogWithoutCapacity", "EndpointName", local.endpoint_name],
    ] },
    { title = "Endpoint: seconds of work at a segment", stat = "Average", metrics = [
      ["AWS/SageMaker", "TotalProcessingTime", "EndpointName", local.endpoint_name],
      ["AWS/SageMaker", "TimeInBacklog", "EndpointName", local.endpoint_name],
    ] },
    { title = "Site: requests and errors", stat = "Sum", metrics = [
      ["AWS/ApplicationELB", "RequestCount", "LoadBalancer", aws_lb.web.arn_suffix],
      ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "LoadBalancer", aws_lb.web.arn_suffix],
    ] },
    { title = "Site: seconds to an answer", stat = "p95", metrics = [
      ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", aws_lb.web.arn_suffix],
    ] },
    { title = "Ledger: CPU and connections", stat = "Maximum", metrics = [
      ["AWS/RDS", "CPUUtilization", "DBInstanceIdentifier", local.prefix],
      ["AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", local.prefix],
    ] },
    { title = "Tasks' memory, percent", stat = "Maximum", metrics = [for service in keys(local.services) :
      ["AWS/ECS", "MemoryUtilization", "ClusterName", local.prefix, "ServiceName", service]
    ] },
  ]
}

resource "aws_cloudwatch_dashboard" "main" {
  dashboard_name = local.prefix

  dashboard_body = jsonencode({ widgets = [for index, widget in local.widgets : {
    type   = "metric"
    x      = index % 2 * 12
    y      = floor(index / 2) * 6
    width  = 12
    height = 6
    properties = {
      title   = widget.title
      stat    = widget.stat
      metrics = widget.metrics
      period  = 60
      region  = var.region
      view    = "timeSeries"
    }
  }] })
}
