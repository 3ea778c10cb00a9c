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

variable "table" {
  description = "Name of the DynamoDB table that mirrors each task's status; null: none does"
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to delete the table, or a bucket that has films"
  type        = bool
}
