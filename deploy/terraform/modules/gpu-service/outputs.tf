output "capacity_provider" {
  description = "To be named by the cluster"
  value       = aws_ecs_capacity_provider.this.name
}

output "url" {
  description = "Of the server, inside the VPC"
  value       = "http://${aws_service_discovery_service.this.name}.${var.namespace.name}:${var.app_port}"
}

output "auto_scaling_group_name" {
  value       = aws_autoscaling_group.this.name
  description = "Of the GPU instances"
}

output "launch_template_name" {
  value       = aws_launch_template.this.name
  description = "Of the GPU instances"
}

output "log_group_name" {
  value       = aws_cloudwatch_log_group.this.name
  description = "Of the server"
}

output "service_name" {
  value       = aws_ecs_service.this.name
  description = "Of the server"
}

output "task_definition_family" {
  value       = aws_ecs_task_definition.this.family
  description = "Of the server"
}
