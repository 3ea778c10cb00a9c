# Text to video for the producers of Story IV. Their messages come by the queue video-jobs.

locals {
  story_iv     = var.enable_story_iv
  story_bucket = "${local.prefix}-video-data-${local.account_id}"
  story_table  = local.story_iv && var.story_iv_mirror ? "${local.prefix}-video-tasks" : null
}

module "story_iv" {
  source = "./modules/story-iv"
  count  = local.story_iv ? 1 : 0

  queue_arn           = aws_sqs_queue.this["video-jobs"].arn
  topic_arns          = var.video_job_topic_arns
  bucket              = local.story_bucket
  table               = local.story_table
  deletion_protection = var.deletion_protection

  depends_on = [aws_sqs_queue_policy.this]
}
