variable "prefix" {
  description = "Prefix for resource names"
  type        = string
}

variable "queue_arn" {
  description = "ARN of the queue video-jobs"
  type        = string
}

variable "topic_arns" {
  description = "ARNs of the topics that jobs are published to; messages may also be sent to the queue itself"
  type        = list(string)
}

variable "bucket" {
  description = "Name of the bucket for films"
  type        = string
}

variable "mirror" {
  description = "Mirror each task's status into a DynamoDB table"
  type        = bool
}

variable "deletion_protection" {
  description = "Refuse to delete the table, or a bucket that has films"
  type        = bool
}
