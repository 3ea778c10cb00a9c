output "region" {
  description = "AWS region"
  value       = var.region
}

output "name_prefix" {
  description = "Prefix for resource names"
  value       = var.name_prefix
}

# --- Buckets and queues ---

output "input_bucket_name" {
  description = "SOURCE_BUCKET"
  value       = aws_s3_bucket.this["source"].id
}

output "output_bucket_name" {
  description = "RESULT_BUCKET"
  value       = aws_s3_bucket.this["result"].id
}

output "queue_urls" {
  description = "Of every queue, by its name"
  value       = { for name, queue in aws_sqs_queue.this : name => queue.url }
}

output "dlq_urls" {
  description = "Of every dead-letter queue, by its queue's name"
  value       = { for name, queue in aws_sqs_queue.dead : name => queue.url }
}

output "arrivals_queue_url" {
  description = "Where S3 and SageMaker say what has arrived"
  value       = aws_sqs_queue.this["arrivals"].url
}

output "video_jobs_queue_url" {
  description = "Where Story IV's jobs go"
  value       = aws_sqs_queue.this["video-jobs"].url
}

# --- The site and its workers ---

output "web_ui_url" {
  description = "The site"
  value       = local.site_origin
}

output "web_ui_alb_dns_name" {
  description = "For a name of your own: let it be an alias of this"
  value       = aws_lb.web.dns_name
}

output "ecs_cluster_name" {
  description = "The cluster"
  value       = aws_ecs_cluster.main.name
}

output "ecs_cluster_arn" {
  description = "The cluster"
  value       = aws_ecs_cluster.main.arn
}

output "ecs_service_names" {
  description = "Services, once there is an image"
  value       = sort(keys(aws_ecs_service.this))
}

output "ecr_app_url" {
  description = "Repository of the site's image"
  value       = aws_ecr_repository.this["app"].repository_url
}

output "ecr_inference_url" {
  description = "Repository of the inference image"
  value       = aws_ecr_repository.this["inference"].repository_url
}

output "image_tags" {
  description = "What runs: a plan with these changes no image"
  value       = { ecs_image_tag = var.ecs_image_tag, inference_image_tag = var.inference_image_tag }
}

output "codebuild_project_names" {
  description = "Projects that build the images, by image"
  value       = { for name, project in aws_codebuild_project.image : name => project.name }
}

output "admin_task" {
  description = "aws ecs run-task --cli-input-json \"$(terraform output -raw admin_task)\" makes the first administrator"
  value       = jsonencode(local.admin_task)
}

output "database_address" {
  description = "The ledger, inside the VPC"
  value       = aws_db_instance.main.address
}

output "database_secret_arn" {
  description = "Where RDS keeps its password"
  value       = aws_db_instance.main.master_user_secret[0].secret_arn
}

# --- Inference ---

output "inference_backend" {
  description = "sagemaker or http"
  value       = var.inference_backend
}

output "inference_http_url" {
  description = "Of the inference server; null with SageMaker"
  value       = local.http ? local.inference_url : null
}

output "sagemaker_endpoint_name" {
  description = "The endpoint; null until there is an image"
  value       = one(aws_sagemaker_endpoint.inference[*].name)
}

output "sagemaker_endpoint_role_arn" {
  description = "The endpoint's role"
  value       = one(aws_iam_role.sagemaker[*].arn)
}

output "sagemaker_instance_type" {
  description = "Instance type of the endpoint"
  value       = var.sagemaker_instance_type
}

output "sagemaker_instance_count" {
  description = "Instances at most"
  value       = var.sagemaker_instance_count
}

output "gpu" {
  description = "The GPU instance's service, group, template, provider and log, with inference_backend = http and no URL"
  value       = one(values(module.gpu))
}

output "story_iv" {
  description = "Bucket and table of Story IV; null without"
  value       = one(module.story_iv)
}

# --- Secrets, people ---

output "hf_token_secret_arn" {
  description = "Put the hub's token there"
  value       = local.secret_arns["hf-token"]
}

output "secret_arns" {
  description = "Every secret that wants a value, by its name"
  value       = local.secret_arns
}

output "alarms_topic_arn" {
  description = "Subscribe whoever is to be told of alarms"
  value       = aws_sns_topic.alarms.arn
}
