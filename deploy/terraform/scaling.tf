# Workers follow their queue: none while nothing waits, and as many as share out the backlog.
# The sweep publishes BacklogPerTask and Workers (docs/operations/running.md#cloudwatch).

module "scaling" {
  source   = "./modules/queue-scaling"
  for_each = { for name, facts in local.services : name => facts if facts.queue != null && var.ecs_image_tag != "" }

  name     = "${local.prefix}-${each.key}"
  cluster  = aws_ecs_cluster.main.name
  service  = aws_ecs_service.this[each.key].name
  system   = local.prefix
  queue    = each.value.queue
  sqs_name = aws_sqs_queue.this[each.value.queue].name
  fewest   = each.value.fewest
  most     = each.value.most
  # A worker of media has one film in hand, one of gpu waits for several segments at once.
  per_task = each.value.queue == "media" ? 1 : local.in_flight
}
