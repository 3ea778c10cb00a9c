# The site's front door. HTTPS with a certificate of your own, or one that is made here for a
# domain in Route 53; without either the site is for the addresses in site_cidrs alone.

locals {
  own_certificate = var.load_balancer_certificate_id != ""
  https           = local.own_certificate || var.route53_zone_id != ""
  site_host       = var.site_domain != "" ? var.site_domain : aws_lb.web.dns_name
  certificate = !local.https ? null : (
    local.own_certificate ? var.load_balancer_certificate_id : aws_acm_certificate_validation.site[0].certificate_arn
  )
  # Ours to make: a name and its proof in the zone.
  managed_names = var.route53_zone_id == "" ? {} : { (var.site_domain) = var.route53_zone_id }
}

resource "aws_lb" "web" {
  name                       = "${local.prefix}-web-ui"
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.this["balancer"].id]
  subnets                    = [for subnet in aws_subnet.public : subnet.id]
  idle_timeout               = 120 # twice what a page's live line may be silent
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
}

resource "aws_lb_target_group" "web" {
  name                 = "${local.prefix}-web-ui"
  port                 = 8000
  protocol             = "HTTP"
  target_type          = "ip"
  vpc_id               = aws_vpc.main.id
  deregistration_delay = 30

  health_check {
    path                = "/healthz"
    matcher             = "200"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.web.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type             = local.https ? "redirect" : "forward"
    target_group_arn = local.https ? null : aws_lb_target_group.web.arn

    dynamic "redirect" {
      for_each = local.https ? [443] : []

      content {
        protocol    = "HTTPS"
        port        = redirect.value
        status_code = "HTTP_301"
      }
    }
  }
}

resource "aws_lb_listener" "https" {
  count = local.https ? 1 : 0

  load_balancer_arn = aws_lb.web.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = local.certificate

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }
}

resource "aws_acm_certificate" "site" {
  count = !local.own_certificate && local.https ? 1 : 0

  domain_name       = var.site_domain
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "proof" {
  count = length(aws_acm_certificate.site)

  zone_id         = var.route53_zone_id
  name            = tolist(aws_acm_certificate.site[0].domain_validation_options)[0].resource_record_name
  type            = tolist(aws_acm_certificate.site[0].domain_validation_options)[0].resource_record_type
  records         = [tolist(aws_acm_certificate.site[0].domain_validation_options)[0].resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "site" {
  count = length(aws_acm_certificate.site)

  certificate_arn         = aws_acm_certificate.site[0].arn
  validation_record_fqdns = [for record in aws_route53_record.proof : record.fqdn]
}

resource "aws_route53_record" "site" {
  for_each = local.managed_names

  zone_id = each.value
  name    = each.key
  type    = "A"

  alias {
    name                   = aws_lb.web.dns_name
    zone_id                = aws_lb.web.zone_id
    evaluate_target_health = false
  }
}

resource "aws_wafv2_web_acl" "site" {
  count = var.enable_waf ? 1 : 0

  name  = "${local.prefix}-site"
  scope = "REGIONAL"

  default_action {
    allow {}
  }

  dynamic "rule" {
    for_each = { AWSManagedRulesAmazonIpReputationList = 1, AWSManagedRulesKnownBadInputsRuleSet = 2 }

    content {
      name     = rule.key
      priority = rule.value

      override_action {
        none {}
      }
      statement {
        managed_rule_group_statement {
          name        = rule.key
          vendor_name = "AWS"
        }
      }
      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = rule.key
        sampled_requests_enabled   = true
      }
    }
  }

  rule {
    name     = "requests-of-one-address"
    priority = 3

    action {
      block {}
    }
    statement {
      rate_based_statement {
        limit              = 2000 # in five minutes; a page that uploads asks for a link a part
        aggregate_key_type = "IP"
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "requests-of-one-address"
      sampled_requests_enabled   = true
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "${local.prefix}-site"
    sampled_requests_enabled   = true
  }
}

resource "aws_wafv2_web_acl_association" "site" {
  count = var.enable_waf ? 1 : 0

  resource_arn = aws_lb.web.arn
  web_acl_arn  = aws_wafv2_web_acl.site[0].arn
}
