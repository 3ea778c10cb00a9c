# The ledger. RDS makes the password, keeps it in Secrets Manager and changes it each week: it
# is neither in this state nor in anybody's hands. Tasks are given it when they start, and
# read it again when it is refused.

resource "aws_db_subnet_group" "main" {
  name       = local.prefix
  subnet_ids = [for subnet in aws_subnet.private : subnet.id]
}

resource "aws_db_parameter_group" "main" {
  name   = "${local.prefix}-postgres16"
  family = "postgres16"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
  parameter { # a second and more: what a slow page was waiting for
    name  = "log_min_duration_statement"
    value = "1000"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "main" {
  identifier     = local.prefix
  engine         = "postgres"
  engine_version = "16"
  instance_class = var.database_instance_class

  db_name                     = "stereospot"
  username                    = "stereospot"
  manage_master_user_password = true

  allocated_storage     = 20
  max_allocated_storage = var.database_max_gigabytes
  storage_type          = "gp3"
  storage_encrypted     = true

  db_subnet_group_name   = aws_db_subnet_group.main.name
  vpc_security_group_ids = [aws_security_group.this["database"].id]
  parameter_group_name   = aws_db_parameter_group.main.name
  multi_az               = var.database_multi_az
  publicly_accessible    = false

  backup_retention_period         = var.backup_days
  copy_tags_to_snapshot           = true
  auto_minor_version_upgrade      = true
  performance_insights_enabled    = true
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]

  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = !var.deletion_protection
  final_snapshot_identifier = "${local.prefix}-final"
}

locals {
  # Checked against RDS's own authorities, which the image brings. libpq takes the password
  # from PGPASSWORD.
  database_url = join("", [
    "postgresql://${aws_db_instance.main.username}@${aws_db_instance.main.address}:5432/",
    "${aws_db_instance.main.db_name}?sslmode=verify-full&sslrootcert=/etc/ssl/rds.pem",
  ])
  database_password = "${aws_db_instance.main.master_user_secret[0].secret_arn}:password::"
}
