# Who GitHub's workflows are, without a key that could be stolen: GitHub signs which
# repository, event and environment it is, and AWS lets in those that stand here.

locals {
  github = var.github_repository == "" ? {} : {
    plan = {
      subjects = ["repo:${var.github_repository}:pull_request"]
      policies = ["ReadOnlyAccess"]
    }
    apply = { # an environment may want a person's yes
      subjects = [for name in ["production", "destroy"] : "repo:${var.github_repository}:environment:${name}"]
      policies = ["PowerUserAccess"] # everything but people and roles
    }
  }
  account_id = data.aws_caller_identity.current.account_id
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_repository == "" ? 0 : 1

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "github" {
  for_each = local.github

  name                 = "${var.name_prefix}-github-${each.key}"
  max_session_duration = 7200

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = aws_iam_openid_connect_provider.github[0].arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = { StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = each.value.subjects
      } }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "github" {
  for_each = { for name, role in local.github : name => one(role.policies) }

  role       = aws_iam_role.github[each.key].name
  policy_arn = "arn:aws:iam::aws:policy/${each.value}"
}

# A plan takes the lock, and lets it go.
resource "aws_iam_role_policy" "lock" {
  for_each = local.github

  name = "lock"
  role = aws_iam_role.github[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["s3:DeleteObject", "s3:PutObject"]
      Resource = "arn:aws:s3:::${local.bucket}/${var.name_prefix}/terraform.tfstate.tflock"
    }]
  })
}

# Of roles, those of the system, and none of its makers: else it could give itself anything.
resource "aws_iam_role_policy" "roles" {
  for_each = { for name, role in local.github : name => role if name == "apply" }

  name = "roles"
  role = aws_iam_role.github[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:CreateRole", "iam:DeleteInstanceProfile",
          "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:GetInstanceProfile", "iam:GetRole", "iam:GetRolePolicy",
          "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies", "iam:PassRole",
          "iam:PutRolePolicy", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:TagRole",
          "iam:UpdateAssumeRolePolicy",
        ]
        Resource = [
          "arn:aws:iam::${local.account_id}:instance-profile/${var.name_prefix}-*",
          "arn:aws:iam::${local.account_id}:role/${var.name_prefix}-*",
        ]
      },
      {
        Effect   = "Deny"
        Action   = "iam:*"
        Resource = "arn:aws:iam::${local.account_id}:role/${var.name_prefix}-github-*"
      },
    ]
  })
}
