output "bucket_name" {
  description = "Where films lie, at {parent_id}/{task_id}.mp4"
  value       = aws_s3_bucket.films.id
}

output "table_name" {
  description = "Where the status of each task is mirrored; null without"
  value       = one(aws_dynamodb_table.tasks[*].name)
}

output "table_arn" {
  description = "Of the same"
  value       = one(aws_dynamodb_table.tasks[*].arn)
}
