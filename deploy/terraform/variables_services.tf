# Sizes of what runs on Fargate, which takes certain pairs only.

variable "ecs_image_tag" {
  description = "Tag of the site's image; empty at first: there is no image yet, and no service is made"
  type        = string
  default     = ""

  validation {
    condition     = var.ecs_image_tag != "latest"
    error_message = "ecs_image_tag: a tag means one image for ever here; use the commit's hash."
  }
}

variable "ecs_web_ui_cpu" {
  description = "CPU units of a task of the site (256 = 0.25 vCPU)"
  type        = number
  default     = 512
}

variable "ecs_web_ui_memory" {
  description = "MiB of a task of the site"
  type        = number
  default     = 1024
}

variable "ecs_web_ui_count" {
  description = "Tasks of the site; two, in two zones, outlive the loss of one"
  type        = number
  default     = 1
}

variable "ecs_media_worker_cpu" {
  description = "CPU units of a media worker"
  type        = number
  default     = 1024
}

variable "ecs_media_worker_memory" {
  description = "MiB of a media worker: one step on a stranger's film may take 6144 of them"
  type        = number
  default     = 8192

  validation {
    condition     = var.ecs_media_worker_memory >= 7168
    error_message = "ecs_media_worker_memory: 7168 or more; reading a film may take 6144."
  }
}

variable "ecs_media_worker_disk" {
  description = "GiB of disk of a media worker; a source may have 40 % of it"
  type        = number
  default     = 100

  validation {
    condition     = var.ecs_media_worker_disk >= 21 && var.ecs_media_worker_disk <= 200
    error_message = "ecs_media_worker_disk: 21 to 200."
  }
}

variable "ecs_media_worker_min_capacity" {
  description = "Media workers while nothing waits"
  type        = number
  default     = 0
}

variable "ecs_media_worker_max_capacity" {
  description = "Media workers at most"
  type        = number
  default     = 10
}

variable "ecs_video_worker_cpu" {
  description = "CPU units of a video worker, which only waits for the GPU's side"
  type        = number
  default     = 512
}

variable "ecs_video_worker_memory" {
  description = "MiB of a video worker"
  type        = number
  default     = 1024
}

variable "ecs_video_worker_min_capacity" {
  description = "Minimum video-worker tasks"
  type        = number
  default     = 0
}

variable "ecs_video_worker_max_capacity" {
  description = "Maximum video-worker tasks"
  type        = number
  default     = 8
}

variable "enable_flower" {
  description = "Flower, which shows workers and tasks to the site's staff at /flower/"
  type        = bool
  default     = true
}

variable "fargate_spot" {
  description = "Media and video workers on Fargate Spot, for a third of the price; a film's step that is cut off begins again"
  type        = bool
  default     = false
}
