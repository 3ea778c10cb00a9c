variable "name" {
  description = "Prefix of policies and alarms"
  type        = string
}

variable "cluster" {
  description = "Name of the ECS cluster"
  type        = string
}

variable "service" {
  description = "Name of the ECS service that is scaled"
  type        = string
}

variable "system" {
  description = "Value of the metrics' dimension System: the workers' CLOUDWATCH_SYSTEM"
  type        = string
}

variable "queue" {
  description = "Value of the metrics' dimension Queue"
  type        = string
}

variable "sqs_name" {
  description = "The queue's name at SQS"
  type        = string
}

variable "fewest" {
  description = "Tasks while nothing waits"
  type        = number
}

variable "most" {
  description = "Tasks at most"
  type        = number

  validation {
    condition     = var.most >= max(1, var.fewest)
    error_message = "most: at least 1, and no less than fewest."
  }
}

variable "per_task" {
  description = "Messages that one task may have waiting"
  type        = number
}
