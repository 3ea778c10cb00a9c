terraform {
  required_version = ">= 1.11.0, < 2.0.0" # 1.11: S3 locks a state by itself

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0" # exact: what is tested is what is used
    }
  }

  # bucket, key and region: terraform init -backend-config=backend.hcl, which setup/ writes
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      App         = var.name_prefix
      Environment = var.environment
      ManagedBy   = "terraform"
    }
  }
}
