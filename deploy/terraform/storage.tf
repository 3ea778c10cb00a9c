# Two buckets: what came in, and what goes out. Neither is ever public; browsers get signed
# links, and may use them from the site's own pages only.

locals {
  site_origin = local.https ? "https://${local.site_host}" : "http://${local.site_host}"

  browser = {
    # Parts of an upload. A browser hides ETag unless it is exposed, and finishing needs it.
    source = { methods = ["PUT"], expose = ["ETag"] }
    # Finals, played in the page by ranges.
    result = { methods = ["GET", "HEAD"], expose = ["Accept-Ranges", "Content-Length", "Content-Range", "ETag"] }
  }
}

resource "aws_s3_bucket" "this" {
  for_each = local.buckets

  bucket        = each.value
  force_destroy = !var.deletion_protection
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = aws_s3_bucket.this

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

# A person's deleted film is to be gone: no older versions of it.
resource "aws_s3_bucket_versioning" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  versioning_configuration {
    status = "Disabled"
  }
}

resource "aws_s3_bucket_cors_configuration" "this" {
  for_each = local.browser

  bucket = aws_s3_bucket.this[each.key].id

  cors_rule {
    allowed_origins = [local.site_origin]
    allowed_methods = each.value.methods
    allowed_headers = ["*"] # of the request; the signature says which of them count
    expose_headers  = each.value.expose
    max_age_seconds = 3600
  }
}

# Lifecycles are for what was forgotten: the application deletes what a job no longer needs.
resource "aws_s3_bucket_lifecycle_configuration" "source" {
  bucket = aws_s3_bucket.this["source"].id

  rule {
    id     = "abort-uploads"
    status = "Enabled"
    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.upload_days
    }
  }

  rule {
    id     = "expire-segments"
    status = "Enabled"

    filter {
      prefix = "segments/"
    }
    expiration {
      days = var.segment_days
    }
  }

  dynamic "rule" {
    for_each = var.source_days > 0 ? [var.source_days] : []

    content {
      id     = "expire-sources"
      status = "Enabled"

      filter {
        prefix = "input/"
      }
      expiration {
        days = rule.value
      }
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "result" {
  bucket = aws_s3_bucket.this["result"].id

  rule {
    id     = "abort-uploads"
    status = "Enabled"
    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.upload_days
    }
  }

  # Inference tags what it writes; finals have no tag, and stay.
  rule {
    id     = "expire-segments"
    status = "Enabled"

    filter {
      tag {
        key   = "stereo-spot-lifecycle"
        value = "expire-segments"
      }
    }
    expiration {
      days = var.segment_days
    }
  }

  rule {
    id     = "expire-answers"
    status = "Enabled"

    filter {
      prefix = "sagemaker/"
    }
    expiration {
      days = 7
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyOverTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket_arns[each.key], "${local.bucket_arns[each.key]}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.this]
}
