# Only the places: values are set outside (README.md), so that no state and no plan has them.

locals {
  secrets = merge(
    {
      "admin-password" = "Of the first administrator, until they choose their own"
      "django-key"     = "Signs sessions and links: 50 random characters or more"
      "hf-token"       = "Token of the Hugging Face hub, plain or as {\"token\": ...}"
    },
    var.enable_flower ? { "flower-login" = "user:password of Flower, which the site alone uses" } : {},
    local.http ? { "inference-token" = "What workers show the inference server" } : {},
  )
  secret_arns = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}

resource "aws_secretsmanager_secret" "this" {
  for_each = local.secrets

  name                    = "${local.prefix}/${each.key}"
  description             = each.value
  recovery_window_in_days = var.deletion_protection ? 30 : 0
}
