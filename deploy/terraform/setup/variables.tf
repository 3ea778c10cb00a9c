variable "region" {
  description = "AWS region of the state bucket, and of the system"
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: such as us-east-1."
  }
}

variable "name_prefix" {
  description = "Prefix for resource names"
  type        = string
  default     = "stereo-spot"
}

variable "dynamodb_lock" {
  description = "Lock in a DynamoDB table as well, as older tools do"
  type        = bool
  default     = false
}

variable "github_repository" {
  description = "OWNER/NAME on GitHub whose workflows may plan and apply; empty: none"
  type        = string
  default     = ""

  validation {
    condition     = var.github_repository == "" || can(regex("^[\\w.-]+/[\\w.-]+$", var.github_repository))
    error_message = "github_repository: OWNER/NAME."
  }
}
