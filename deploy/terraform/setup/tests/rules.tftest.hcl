mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }
}

run "alone" {
  command = plan

  assert {
    condition     = aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "A state that was damaged could not be mended."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.state.block_public_acls, aws_s3_bucket_public_access_block.state.block_public_policy,
      aws_s3_bucket_public_access_block.state.ignore_public_acls, aws_s3_bucket_public_access_block.state.restrict_public_buckets,
    ])
    error_message = "The state might be made public."
  }
  assert {
    condition     = jsondecode(aws_s3_bucket_policy.state.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "The state may be read without TLS."
  }
  assert {
    condition     = strcontains(output.backend_config, "use_lockfile = true") && !strcontains(output.backend_config, "dynamodb_table")
    error_message = "Two people might apply at once."
  }
  assert {
    condition     = length(aws_dynamodb_table.lock) == 0 && length(aws_iam_role.github) == 0
    error_message = "Nobody asked for a table or for GitHub."
  }
}

run "locked_both_ways_and_known_to_github" {
  command = plan

  variables {
    dynamodb_lock     = true
    github_repository = "films/stereospot"
  }

  assert {
    condition     = strcontains(output.backend_config, "use_lockfile = true") && strcontains(output.backend_config, "dynamodb_table = \"stereo-spot-terraform-lock\"")
    error_message = "The state is not locked in both places."
  }
  assert {
    condition = alltrue([for role in values(aws_iam_role.github) :
      jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    ])
    error_message = "Tokens for others than AWS are taken."
  }
  assert {
    condition = alltrue(flatten([for role in values(aws_iam_role.github) : [
      for subject in jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] :
      startswith(subject, "repo:films/stereospot:") && !strcontains(subject, "*")
    ]]))
    error_message = "Other repositories, or any branch, may be our roles."
  }
  assert {
    condition = !contains(flatten([
      jsondecode(aws_iam_role.github["apply"].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"]
    ]), "repo:films/stereospot:pull_request")
    error_message = "A pull request may change what runs."
  }
}

run "no_repository" {
  command = plan
  variables { github_repository = "https://github.com/films/stereospot" }
  expect_failures = [var.github_repository]
}
