variable "inference_backend" {
  description = "Where segments are converted: `sagemaker` (managed endpoint) or `http` (an inference server)"
  type        = string
  default     = "sagemaker"

  validation {
    condition     = contains(["sagemaker", "http"], var.inference_backend)
    error_message = "inference_backend: sagemaker or http."
  }
}

variable "inference_http_url" {
  description = "With inference_backend = http: your own server's URL; empty: one on a GPU instance of the cluster"
  type        = string
  default     = ""

  validation {
    condition     = var.inference_http_url == "" || can(regex("^https?://[^/]+$", var.inference_http_url))
    error_message = "inference_http_url: http://HOST:PORT, without a path."
  }
}

variable "inference_image_tag" {
  description = "Tag of the inference image; empty at first: there is no image yet, and no endpoint is made"
  type        = string
  default     = ""

  validation {
    condition     = var.inference_image_tag != "latest"
    error_message = "inference_image_tag: a tag means one image for ever here; use the commit's hash."
  }
}

variable "inference_engines" {
  description = "Engines that are loaded before the server takes work; others when first asked for"
  type        = list(string)
  default     = ["fast"]

  validation {
    condition     = length(var.inference_engines) > 0 && length(setsubtract(var.inference_engines, ["preview", "fast", "stereocrafter"])) == 0
    error_message = "inference_engines: of preview, fast and stereocrafter."
  }
}

variable "inference_environment" {
  description = "More variables of the inference server (docs/operations.md#environment); nothing secret"
  type        = map(string)
  default     = {}

  validation {
    condition     = !anytrue([for name in keys(var.inference_environment) : can(regex("TOKEN$|SECRET|PASSWORD", name))])
    error_message = "inference_environment: secrets would stand in the state."
  }
}

variable "inference_max_in_flight" {
  description = "Most segments asked for at once; null: instances and two that wait"
  type        = number
  default     = null
}

variable "segment_seconds" {
  description = "Wanted length of a segment: docs/inference.md says what a card does within the endpoint's time"
  type        = number
  default     = 20
}

variable "sagemaker_instance_type" {
  description = "SageMaker endpoint instance type"
  type        = string
  default     = "ml.g4dn.xlarge"

  validation {
    condition     = startswith(var.sagemaker_instance_type, "ml.")
    error_message = "sagemaker_instance_type: such as ml.g4dn.xlarge."
  }
  validation {
    condition     = !(contains(var.inference_engines, "stereocrafter") && can(regex("^ml\\.(g4dn|g5|g6)\\.", var.sagemaker_instance_type)))
    error_message = "sagemaker_instance_type: stereocrafter at 1080p wants a card of 40 GB, such as ml.g6e.2xlarge has."
  }
}

variable "sagemaker_instance_count" {
  description = "Instances of the endpoint at most"
  type        = number
  default     = 1

  validation {
    condition     = var.sagemaker_instance_count >= 1 && var.sagemaker_instance_count <= 50
    error_message = "sagemaker_instance_count: 1 to 50."
  }
}

variable "sagemaker_min_instance_count" {
  description = "Instances while nothing is asked for; 1 spares the first film ten minutes, and costs around the clock"
  type        = number
  default     = 0
}

variable "sagemaker_invoke_timeout_seconds" {
  description = "Longest that the endpoint may work at one segment"
  type        = number
  default     = 1800

  validation {
    condition     = var.sagemaker_invoke_timeout_seconds >= 60 && var.sagemaker_invoke_timeout_seconds <= 3600
    error_message = "sagemaker_invoke_timeout_seconds: 60 to 3600, SageMaker's most."
  }
}

variable "sagemaker_inference_ami_version" {
  description = "Decides the driver; this one has 580, for CUDA 13"
  type        = string
  default     = "al2023-ami-sagemaker-inference-gpu-4-1"
}

variable "codebuild_inference_repo_url" {
  description = "Git repository that CodeBuild clones and builds the images from, over HTTPS; empty: no CodeBuild"
  type        = string
  default     = ""

  validation {
    condition     = var.codebuild_inference_repo_url == "" || startswith(var.codebuild_inference_repo_url, "https://")
    error_message = "codebuild_inference_repo_url: https://…"
  }
}

# --- A GPU instance of the cluster, with inference_backend = http; the names are Story IV's ---

variable "app_port" {
  description = "Port of the inference server"
  type        = number
  default     = 8080
}

variable "app_count" {
  description = "Servers while nothing waits: 0, or 1 around the clock"
  type        = number
  default     = 0

  validation {
    condition     = contains([0, 1], var.app_count)
    error_message = "app_count: 0 or 1."
  }
}

variable "gpu_ami_id" {
  description = "AMI ID for GPU instances; empty: the newest ECS-optimised one"
  type        = string
  default     = ""
}

variable "gpu_instance_type" {
  description = "EC2 instance type (g5.xlarge: A10G, 24 GB)"
  type        = string
  default     = "g5.xlarge"
}

variable "gpu_other_instance_types" {
  description = "Types that will do as well when that one is short; Spot wants some choice"
  type        = list(string)
  default     = ["g5.2xlarge", "g6.xlarge", "g6.2xlarge"]
}

variable "gpu_on_demand_percentage" {
  description = "0: Spot, at about a third of the price; 100: on demand"
  type        = number
  default     = 0

  validation {
    condition     = var.gpu_on_demand_percentage >= 0 && var.gpu_on_demand_percentage <= 100
    error_message = "gpu_on_demand_percentage: 0 to 100."
  }
}

variable "memory" {
  description = "MiB of the GPU task; of 16 GiB an instance's agent leaves some 15,400"
  type        = number
  default     = 14336
}

# --- Story IV ---

variable "enable_story_iv" {
  description = "Text to video for producers of Story IV: bucket, table, subscriptions"
  type        = bool
  default     = false
}

variable "video_job_topic_arns" {
  description = "Topics that publish video jobs (TASK_TYPE = VIDEO)"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.video_job_topic_arns : can(regex("^arn:aws[a-z-]*:sns:", arn))])
    error_message = "video_job_topic_arns: ARNs of SNS topics."
  }
}

variable "story_iv_mirror" {
  description = "Mirror the tasks' status into a DynamoDB table of the producer's layout"
  type        = bool
  default     = true
}
