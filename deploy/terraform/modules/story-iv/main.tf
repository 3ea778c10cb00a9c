# What the Story IV producer knows: it publishes jobs to a topic, finds films in a bucket and
# their status in a table. The work itself is StereoSpot's: jobs become films of the ledger,
# by the queue video-jobs, and the inference server makes the pictures.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

resource "aws_sns_topic_subscription" "jobs" {
  for_each = toset(var.topic_arns)

  topic_arn = each.value
  protocol  = "sqs"
  endpoint  = var.queue_arn
  # The topic carries speech and pictures as well.
  filter_policy = jsonencode({ TASK_TYPE = ["VIDEO"] })
}

# Films lie at {parent_id}/{task_id}.mp4.
resource "aws_s3_bucket" "films" {
  bucket        = var.bucket
  force_destroy = !var.deletion_protection
}

resource "aws_s3_bucket_public_access_block" "films" {
  bucket                  = aws_s3_bucket.films.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "films" {
  bucket = aws_s3_bucket.films.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "films" {
  bucket = aws_s3_bucket.films.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "films" {
  bucket = aws_s3_bucket.films.id

  rule {
    id     = "abort-uploads"
    status = "Enabled"
    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "films" {
  bucket = aws_s3_bucket.films.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyOverTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::${var.bucket}", "arn:aws:s3:::${var.bucket}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.films]
}

# A mirror, in the producer's own layout; the truth is the ledger's.
resource "aws_dynamodb_table" "tasks" {
  count = var.table == null ? 0 : 1

  name         = var.table
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"      # parent_id
  range_key    = "task_id" # of one film

  attribute {
    name = "id"
    type = "S"
  }
  attribute {
    name = "task_id"
    type = "S"
  }
  attribute {
    name = "sparse_gsi_hash_key"
    type = "S"
  }
  # Only rows that are not finished have the attribute: what a story still waits for.
  global_secondary_index {
    name            = "pending"
    hash_key        = "sparse_gsi_hash_key"
    projection_type = "ALL"
  }
  point_in_time_recovery {
    enabled = true
  }
  server_side_encryption {
    enabled = true
  }

  deletion_protection_enabled = var.deletion_protection
}
