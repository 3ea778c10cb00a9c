output "state_bucket" {
  description = "Where the system's state lies"
  value       = aws_s3_bucket.state.id
}

output "backend_config" {
  description = "For ../backend.hcl: terraform output -raw backend_config > ../backend.hcl"
  value = join("\n", concat(
    [
      "bucket       = \"${local.bucket}\"",
      "key          = \"${var.name_prefix}/terraform.tfstate\"",
      "region       = \"${var.region}\"",
      "encrypt      = true",
      "use_lockfile = true",
    ],
    var.dynamodb_lock ? ["dynamodb_table = \"${var.name_prefix}-terraform-lock\""] : [],
    [""],
  ))
}

output "github_roles" {
  description = "For the repository's variables AWS_PLAN_ROLE and AWS_APPLY_ROLE"
  value       = { for name, role in aws_iam_role.github : name => role.arn }
}
