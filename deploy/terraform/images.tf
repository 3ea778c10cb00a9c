# Two images: the site with its workers, and inference. A tag means one image for ever.

locals {
  images = {
    app       = { dockerfile = "Dockerfile", target = "" }
    inference = { dockerfile = "inference/Dockerfile", target = local.sagemaker ? "sagemaker" : "box" }
  }
  app_image       = "${aws_ecr_repository.this["app"].repository_url}:${var.ecs_image_tag}"
  inference_image = "${aws_ecr_repository.this["inference"].repository_url}:${var.inference_image_tag}"
}

resource "aws_ecr_repository" "this" {
  for_each = local.images

  name                 = "${local.prefix}-${each.key}"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = !var.deletion_protection

  image_scanning_configuration {
    scan_on_push = true
  }
  encryption_configuration {
    encryption_type = "KMS"
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name
  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "What has lost its tag"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "All but the last twenty"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 20 }
        action       = { type = "expire" }
      },
    ]
  })
}

# Builds either image from a commit, for those who have no Docker, or a thin line.
resource "aws_codebuild_project" "image" {
  for_each = var.codebuild_inference_repo_url == "" ? {} : local.images

  name          = "${local.prefix}-${each.key}-build"
  description   = "Builds ${each.value.dockerfile} at REVISION and pushes it with that tag"
  service_role  = aws_iam_role.codebuild[0].arn
  build_timeout = 60

  artifacts {
    type = "NO_ARTIFACTS"
  }
  environment {
    type            = "LINUX_CONTAINER"
    image           = "aws/codebuild/standard:7.0"
    compute_type    = "BUILD_GENERAL1_LARGE" # its disk: CUDA's libraries are large
    privileged_mode = true                   # docker build wants it

    dynamic "environment_variable" {
      for_each = {
        REPOSITORY = var.codebuild_inference_repo_url
        REVISION   = "main"
        IMAGE      = aws_ecr_repository.this[each.key].repository_url
        DOCKERFILE = each.value.dockerfile
        TARGET     = each.value.target
        EXTRA_ARGS = ""
      }

      content {
        name  = environment_variable.key
        value = environment_variable.value
      }
    }
  }
  source {
    type      = "NO_SOURCE"
    buildspec = file("${path.module}/buildspec.yml")
  }
  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.codebuild[0].name
    }
  }
}

resource "aws_cloudwatch_log_group" "codebuild" {
  count = var.codebuild_inference_repo_url == "" ? 0 : 1

  name              = "/codebuild/${local.prefix}"
  retention_in_days = var.log_days
}

resource "aws_iam_role" "codebuild" {
  count = var.codebuild_inference_repo_url == "" ? 0 : 1

  name               = "${local.prefix}-codebuild"
  assume_role_policy = local.trust["codebuild"]
}

resource "aws_iam_role_policy" "codebuild" {
  count = var.codebuild_inference_repo_url == "" ? 0 : 1

  name = "build"
  role = aws_iam_role.codebuild[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.may_pull, [
      {
        Effect   = "Allow"
        Action   = ["ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"]
        Resource = local.may_pull[1].Resource
      },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${local.arn_of.logs}:log-group:/codebuild/${local.prefix}:*"
      },
    ])
  })
}
