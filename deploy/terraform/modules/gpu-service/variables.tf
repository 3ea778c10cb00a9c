variable "prefix" {
  description = "Prefix for resource names"
  type        = string
}

variable "region" {
  type        = string
  description = "AWS region"
}

variable "cluster" {
  description = "Name and ARN of the ECS cluster"
  type        = object({ name = string, arn = string })
}

variable "network" {
  description = "Where instances and tasks are"
  type        = object({ subnet_ids = list(string), security_group_id = string })
}

variable "namespace" {
  description = "Of the VPC's own names: id and name"
  type        = object({ id = string, name = string })
}

variable "image" {
  description = "The inference image, with its tag"
  type        = string
}

variable "execution_role_arn" {
  description = "The role with which ECS starts tasks"
  type        = string
}

variable "trust" {
  description = "Trust policies of ECS tasks and of EC2"
  type        = object({ ecs-tasks = string, ec2 = string })
}

variable "statements" {
  description = "What the task may do"
  type        = any
}

variable "environment" {
  description = "Variables of the server"
  type        = map(string)
}

variable "secrets" {
  description = "Variables of the server whose values Secrets Manager has: name to ARN"
  type        = map(string)
}

variable "app_port" {
  description = "Port of the server"
  type        = number
}

variable "gpu_ami_id" {
  description = "AMI of the instances; empty: the newest ECS-optimised one for GPUs"
  type        = string
}

variable "gpu_instance_types" {
  description = "Instance types that will do, best first"
  type        = list(string)
}

variable "memory" {
  description = "MiB of the task; less than the instance has, of which ECS keeps some"
  type        = number
}

variable "on_demand_percentage" {
  description = "How much of it is on demand; the rest is Spot"
  type        = number
}

variable "app_count" {
  description = "Servers while nothing waits: 0 or 1"
  type        = number
}

variable "sqs_name" {
  description = "Name of the queue whose messages wake it"
  type        = string
}

variable "log_days" {
  description = "Days that logs are kept"
  type        = number
}
