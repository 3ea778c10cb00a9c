# One group for each kind of neighbour, one rule for each way between them.

locals {
  security_groups = {
    balancer  = "The site's load balancer"
    web       = "The site"
    workers   = "Workers, beat and Flower"
    inference = "GPU instances and their tasks"
    database  = "PostgreSQL"
    endpoints = "Interface endpoints of AWS services"
  }

  # from → to
  ways = {
    "balancer-web"      = { from = "balancer", to = "web", port = 8000, why = "Requests, and the health check" }
    "web-database"      = { from = "web", to = "database", port = 5432, why = "The ledger" }
    "workers-database"  = { from = "workers", to = "database", port = 5432, why = "The ledger" }
    "web-flower"        = { from = "web", to = "workers", port = local.flower_port, why = "Flower, for staff by way of the site" }
    "workers-inference" = { from = "workers", to = "inference", port = var.app_port, why = "Invocations" }
    "web-endpoints"     = { from = "web", to = "endpoints", port = 443, why = "AWS" }
    "workers-endpoints" = { from = "workers", to = "endpoints", port = 443, why = "AWS" }
    "gpu-endpoints"     = { from = "inference", to = "endpoints", port = 443, why = "AWS" }
  }
}

resource "aws_security_group" "this" {
  for_each = local.security_groups

  name        = "${local.prefix}-${each.key}"
  description = each.value
  vpc_id      = aws_vpc.main.id

  tags = { Name = "${local.prefix}-${each.key}" }
}

resource "aws_vpc_security_group_egress_rule" "way" {
  for_each = local.ways

  description                  = each.value.why
  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  from_port                    = each.value.port
  to_port                      = each.value.port
  ip_protocol                  = "tcp"
}

resource "aws_vpc_security_group_ingress_rule" "way" {
  for_each = local.ways

  description                  = each.value.why
  security_group_id            = aws_security_group.this[each.value.to].id
  referenced_security_group_id = aws_security_group.this[each.value.from].id
  from_port                    = each.value.port
  to_port                      = each.value.port
  ip_protocol                  = "tcp"
}

# AWS's public addresses, the hub of weights and sites with films: HTTPS, to anywhere.
resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = toset(["web", "workers", "inference"])

  description       = "AWS, weights, films by URL"
  security_group_id = aws_security_group.this[each.key].id
  cidr_ipv4         = "0.0.0.0/0"
  from_port         = 443
  to_port           = 443
  ip_protocol       = "tcp"
}

resource "aws_vpc_security_group_ingress_rule" "site" {
  for_each = { for pair in setproduct(var.site_cidrs, local.https ? [80, 443] : [80]) :
    "${pair[0]}:${pair[1]}" => { cidr = pair[0], port = pair[1] }
  }

  description       = each.value.port == 80 && local.https ? "Redirected to HTTPS" : "People"
  security_group_id = aws_security_group.this["balancer"].id
  cidr_ipv4         = each.value.cidr
  from_port         = each.value.port
  to_port           = each.value.port
  ip_protocol       = "tcp"
}
