# Text to video for the producers of Story IV. Their messages come by the queue video-jobs.

locals {
  story_iv = var.enable_story_iv
}

module "story_iv" {
  source = "./modules/story-iv"
  count  = local.story_iv ? 1 : 0

  prefix              = local.prefix
  queue_arn           = aws_sqs_queue.this["video-jobs"].arn
  topic_arns          = var.video_job_topic_arns
  bucket              = "${local.prefix}-video-data-${local.account_id}"
  mirror              = var.story_iv_mirror
  deletion_protection = var.deletion_protection

  depends_on = [aws_sqs_queue_policy.this]
}
