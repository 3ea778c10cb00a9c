# What must hold of any system that is made from these files, asked of a pretended AWS.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan # so that a plan knows what an apply would
}

variables {
  site_domain                  = "films.example.com"
  route53_zone_id              = "Z123456"
  ecs_image_tag                = "3f2a"
  inference_image_tag          = "3f2a"
  open_doors                   = true
  enable_story_iv              = true
  video_job_topic_arns         = ["arn:aws:sns:us-east-1:123456789012:stories"]
  alarm_email                  = "ops@example.com"
  codebuild_inference_repo_url = "https://git.example.com/stereospot.git"
  enable_waf                   = true
  monthly_budget               = 100
}

run "everything" {
  command = plan

  # --- Queues ---

  assert {
    condition     = alltrue([for queue in aws_sqs_queue.this : queue.visibility_timeout_seconds == jsondecode(file("../../workers/queues.json")).visibility_seconds])
    error_message = "The queues' visibility is not the application's."
  }
  assert {
    condition = (
      local.ladder.visibility_cap_seconds > local.ladder.hard_limit_seconds &&
      local.ladder.hard_limit_seconds > local.ladder.soft_limit_seconds &&
      local.ladder.soft_limit_seconds >= var.sagemaker_invoke_timeout_seconds
    )
    error_message = "The ladder has a rung that is too low: visibility cap > hard > soft > the endpoint's time."
  }
  assert {
    condition     = keys(aws_sqs_queue.this) == keys(aws_sqs_queue.dead) && length(aws_sqs_queue.this) == 5
    error_message = "A queue has no dead-letter queue."
  }
  assert {
    condition     = alltrue([for queue in aws_sqs_queue.dead : queue.message_retention_seconds == 1209600])
    error_message = "A dead-letter queue forgets before fourteen days."
  }
  assert {
    condition     = alltrue([for name, queue in aws_sqs_queue.this : queue.message_retention_seconds < aws_sqs_queue.dead[name].message_retention_seconds])
    error_message = "A message would be forgotten in its dead-letter queue at once: its age counts from its first queue."
  }
  assert {
    condition = alltrue([for queue in values(aws_sqs_queue.this) :
      jsondecode(queue.redrive_policy).maxReceiveCount == local.ladder.max_receive_count
    ])
    error_message = "A queue gives up sooner or later than the application says."
  }
  assert {
    condition     = alltrue([for queue in concat(values(aws_sqs_queue.this), values(aws_sqs_queue.dead)) : queue.sqs_managed_sse_enabled])
    error_message = "A queue is not encrypted."
  }

  # --- Alarms ---

  assert {
    condition = alltrue(flatten([for name in keys(aws_sqs_queue.this) : [
      contains(keys(aws_cloudwatch_metric_alarm.above), "${name}-dlq-messages"),
      contains(keys(aws_cloudwatch_metric_alarm.above), "${name}-oldest-message"),
    ]]))
    error_message = "A queue has no alarm for its age, or its dead-letter queue none."
  }
  assert {
    condition     = alltrue([for name in ["stuck-jobs", "dead-letters"] : contains(keys(aws_cloudwatch_metric_alarm.above), name)])
    error_message = "Nobody would hear of a job that is stuck."
  }
  assert {
    condition = alltrue([for alarm in concat(
      values(aws_cloudwatch_metric_alarm.above),
      aws_cloudwatch_metric_alarm.site_down[*],
      aws_cloudwatch_metric_alarm.sweep_silent[*],
      [aws_cloudwatch_metric_alarm.database_disk, aws_cloudwatch_metric_alarm.site_errors],
    ) : length(alarm.alarm_actions) == 1 && length(alarm.alarm_description) > 20])
    error_message = "An alarm reaches nobody, or does not say what to do."
  }
  assert {
    condition     = aws_sns_topic_subscription.email[0].endpoint == "ops@example.com"
    error_message = "The person is not told of alarms."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.sweep_silent[0].treat_missing_data == "breaching"
    error_message = "A sweep that stopped would look like one with nothing to say."
  }

  # --- Events ---

  assert {
    condition = alltrue(flatten([
      for rules in [for each in values(aws_s3_bucket_notification.this) : each.queue] : [
        for i, one in rules : [
          for j, other in rules : !(startswith(one.filter_prefix, other.filter_prefix) || startswith(other.filter_prefix, one.filter_prefix)) if i != j
        ]
      ]
    ]))
    error_message = "S3 refuses notifications that overlap."
  }

  # --- Nothing is public ---

  assert {
    condition = alltrue([for block in values(aws_s3_bucket_public_access_block.this) :
      block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ]) && keys(aws_s3_bucket_public_access_block.this) == keys(aws_s3_bucket.this)
    error_message = "A bucket might be made public."
  }
  assert {
    condition     = !aws_db_instance.main.publicly_accessible && aws_db_instance.main.storage_encrypted
    error_message = "The ledger is public, or lies on disk in clear."
  }
  assert {
    condition     = contains([for parameter in aws_db_parameter_group.main.parameter : "${parameter.name}=${parameter.value}"], "rds.force_ssl=1")
    error_message = "The ledger talks without TLS."
  }
  assert {
    condition     = alltrue([for service in aws_ecs_service.this : !service.network_configuration[0].assign_public_ip])
    error_message = "A task has a public address."
  }
  assert {
    condition = alltrue([for rule in values(aws_vpc_security_group_ingress_rule.site) : contains([80, 443], rule.from_port)]) && alltrue([
      for rule in values(aws_vpc_security_group_ingress_rule.way) : rule.cidr_ipv4 == null
    ])
    error_message = "Something but the site's front door is open to addresses."
  }
  assert {
    condition     = aws_lb_listener.http.default_action[0].type == "redirect" && startswith(aws_lb_listener.https[0].ssl_policy, "ELBSecurityPolicy-TLS13")
    error_message = "With a certificate, HTTP must lead to HTTPS, and that be a current one."
  }
  assert {
    condition = alltrue(flatten([for rule in values(aws_s3_bucket_cors_configuration.this) :
      [for cors in rule.cors_rule : tolist(cors.allowed_origins) == tolist(["https://films.example.com"])]
    ]))
    error_message = "Other sites' pages may use the buckets."
  }
  assert {
    condition = alltrue([for policy in concat(
      [for bucket in aws_s3_bucket_policy.this : bucket.policy],
      [for queue in aws_sqs_queue_policy.this : queue.policy],
      ) : anytrue([for statement in jsondecode(policy).Statement :
        statement.Effect == "Deny" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
    ])])
    error_message = "A bucket or queue may be used without TLS."
  }
  assert {
    condition = alltrue(flatten([for policy in concat(
      [for bucket in aws_s3_bucket_policy.this : bucket.policy],
      [for queue in aws_sqs_queue_policy.this : queue.policy],
      [aws_sns_topic_policy.alarms.policy],
      ) : [for statement in jsondecode(policy).Statement : can(statement.Condition) if statement.Effect == "Allow"]
    ]))
    error_message = "A bucket, queue or topic lets somebody in without a condition."
  }

  # --- Roles ---

  assert {
    condition = alltrue(flatten([
      for policy in concat(
        [for role in aws_iam_role_policy.task : role.policy],
        [aws_iam_role_policy.execution.policy, aws_iam_role_policy.flow.policy],
        aws_iam_role_policy.sagemaker[*].policy,
        aws_iam_role_policy.codebuild[*].policy,
        ) : [for statement in jsondecode(policy).Statement :
        alltrue([for action in flatten([statement.Action]) : contains([
          # AWS knows no resource for these.
          "ecr:GetAuthorizationToken", "cloudwatch:PutMetricData",
        ], action)]) if contains(flatten([statement.Resource]), "*")
      ]
    ]))
    error_message = "A role may do something to everything."
  }
  assert {
    condition = alltrue(flatten([
      for policy in concat(
        [for role in aws_iam_role_policy.task : role.policy],
        [aws_iam_role_policy.execution.policy, aws_iam_role_policy.flow.policy],
        aws_iam_role_policy.sagemaker[*].policy,
        aws_iam_role_policy.codebuild[*].policy,
      ) : [for statement in jsondecode(policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")]]
    ]))
    error_message = "A role may do what nobody has named."
  }
  assert {
    condition = alltrue([for statement in jsondecode(aws_iam_role_policy.task["web-ui"].policy).Statement :
      !contains(flatten([statement.Action]), "s3:DeleteObject") && !contains(flatten([statement.Action]), "sqs:ReceiveMessage")
    ])
    error_message = "The site may delete films, or take workers' messages."
  }
  assert {
    condition = alltrue([for role in concat(values(aws_iam_role.task), [aws_iam_role.execution, aws_iam_role.flow], aws_iam_role.sagemaker[*], aws_iam_role.codebuild[*]) :
      try(jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"], "") == "123456789012"
    ])
    error_message = "Another account may have AWS's services act as one of our roles."
  }

  # --- Secrets ---

  assert {
    condition     = aws_db_instance.main.manage_master_user_password && aws_db_instance.main.password == null
    error_message = "The state has the ledger's password."
  }
  assert {
    condition = alltrue(flatten([for definition in concat(values(aws_ecs_task_definition.this), [aws_ecs_task_definition.administrator]) :
      [for container in jsondecode(definition.container_definitions) :
        [for variable in container.environment : endswith(variable.name, "_ARN") || length(regexall("(SECRET|PASSWORD|TOKEN)", variable.name)) == 0]
    ]]))
    error_message = "A task is told a secret in clear."
  }
  assert {
    condition = alltrue(flatten([for definition in values(aws_ecs_task_definition.this) :
      [for container in jsondecode(definition.container_definitions) :
        [for name in [for secret in container.secrets : secret.name] : name != "DJANGO_SUPERUSER_PASSWORD"]
    ]]))
    error_message = "More than the task that is run once knows the first administrator's password."
  }
  assert {
    condition     = alltrue([for name in keys(aws_sagemaker_model.inference[0].primary_container[0].environment) : name != "HF_TOKEN"])
    error_message = "The model's description shows the hub's token."
  }

  # --- Tasks ---

  assert {
    condition = alltrue([for definition in concat(values(aws_ecs_task_definition.this), [aws_ecs_task_definition.administrator]) : contains(
      { "256" = [512, 1024, 2048], "512" = range(1024, 4097, 1024), "1024" = range(2048, 8193, 1024), "2048" = range(4096, 16385, 1024), "4096" = range(8192, 30721, 1024) }[definition.cpu],
      tonumber(definition.memory)
    )])
    error_message = "Fargate has no task of that size."
  }
  assert {
    condition = alltrue(flatten([for definition in values(aws_ecs_task_definition.this) : [for container in jsondecode(definition.container_definitions) :
      container.user == "10001" && container.readonlyRootFilesystem && container.stopTimeout == 120
    ]]))
    error_message = "A container is root, may change its own files, or has no time to stop."
  }
  assert {
    condition = alltrue(flatten([for definition in values(aws_ecs_task_definition.this) : [
      for container in jsondecode(definition.container_definitions) :
      container.name == "migrate" || try(container.dependsOn[0].containerName == "migrate" && container.dependsOn[0].condition == "SUCCESS", false)
    ]]))
    error_message = "A container might see a ledger older than itself."
  }
  assert {
    condition = alltrue(flatten([for definition in values(aws_ecs_task_definition.this) : [
      for container in jsondecode(definition.container_definitions) : container.name == "migrate" || can(container.healthCheck.command)
    ]]))
    error_message = "A container that hangs would be left alone."
  }
  assert {
    condition     = aws_ecs_service.this["control"].deployment_maximum_percent == 100 && aws_ecs_service.this["control"].deployment_minimum_healthy_percent == 0
    error_message = "Two beats would run during a deployment."
  }
  assert {
    condition = alltrue([for name in keys(aws_ecs_service.this) :
      contains(keys(module.scaling), name) || aws_ecs_service.this[name].desired_count > 0
    ])
    error_message = "A service would never start: it neither scales nor has a task."
  }
  assert {
    condition     = alltrue([for name, worker in { "media-worker" = "media", "video-worker" = "gpu" } : contains(keys(module.scaling), name)])
    error_message = "A worker does not follow its queue."
  }
  assert {
    condition     = aws_appautoscaling_target.endpoint[0].min_capacity == 0 && aws_cloudwatch_metric_alarm.endpoint_wake[0].metric_name == "HasBacklogWithoutCapacity"
    error_message = "The endpoint costs around the clock, or does not wake."
  }
  assert {
    condition = (
      jsondecode(aws_cloudformation_stack.endpoint_config[0].template_body).Resources.Config.Properties.AsyncInferenceConfig.ClientConfig.MaxConcurrentInvocationsPerInstance == 1 &&
      jsondecode(aws_cloudformation_stack.endpoint_config[0].template_body).Resources.Config.Properties.ProductionVariants[0].InferenceAmiVersion == "al2023-ami-sagemaker-inference-gpu-4-1"
    )
    error_message = "The endpoint would work at two segments at once, or have a driver too old for torch."
  }

  # --- Buckets' lifecycles ---

  assert {
    condition = alltrue([for rules in [aws_s3_bucket_lifecycle_configuration.source.rule, aws_s3_bucket_lifecycle_configuration.result.rule] :
      anytrue([for rule in rules : length(rule.abort_incomplete_multipart_upload) == 1])
    ])
    error_message = "Parts of uploads that were given up cost for ever."
  }
  assert {
    condition = anytrue([for rule in aws_s3_bucket_lifecycle_configuration.result.rule :
      try(rule.filter[0].tag[0].key == "stereo-spot-lifecycle" && rule.filter[0].tag[0].value == "expire-segments" && rule.expiration[0].days > 1, false)
    ])
    error_message = "Segments are not expired by their tag, or while a long film still waits for its last."
  }
}

run "nothing_runs_before_there_are_images" {
  command = plan

  variables {
    ecs_image_tag       = ""
    inference_image_tag = ""
  }

  assert {
    condition     = length(aws_ecs_service.this) == 0 && length(module.scaling) == 0 && length(aws_sagemaker_endpoint.inference) == 0
    error_message = "A service or endpoint would fail for want of an image."
  }
  assert {
    condition     = length(aws_ecr_repository.this) == 2 && length(aws_cloudwatch_metric_alarm.sweep_silent) == 0
    error_message = "There is nowhere to push images to, or an alarm for what does not run."
  }
}

run "a_gpu_of_the_cluster" {
  command = plan

  variables {
    inference_backend = "http"
  }

  assert {
    condition     = length(module.gpu) == 1 && length(aws_sagemaker_model.inference) == 0 && length(aws_iam_role.sagemaker) == 0
    error_message = "With inference_backend = http the GPU is an instance of the cluster."
  }
  assert {
    condition     = module.gpu["inference"].url == local.inference_url && local.environment.INFERENCE_HTTP_URL == "http://inference.stereo-spot.internal:8080"
    error_message = "Workers ask another address than the server's."
  }
  assert {
    condition     = contains(aws_ecs_cluster_capacity_providers.main.capacity_providers, module.gpu["inference"].capacity_provider)
    error_message = "The cluster does not know its GPU instances."
  }
  assert {
    condition     = contains(keys(local.handed), "INFERENCE_TOKEN") && contains(keys(aws_secretsmanager_secret.this), "inference-token")
    error_message = "Anybody in the VPC may use the GPU."
  }
}

run "a_server_of_ones_own" {
  command = plan

  variables {
    inference_backend  = "http"
    inference_http_url = "https://gpu.example.com"
  }

  assert {
    condition     = length(module.gpu) == 0 && local.environment.INFERENCE_HTTP_URL == "https://gpu.example.com"
    error_message = "Nothing is to be made where a server is there already."
  }
}

run "without_a_domain" {
  command = plan

  variables {
    site_domain     = ""
    route53_zone_id = ""
    site_cidrs      = ["203.0.113.7/32"]
  }

  assert {
    condition     = length(aws_lb_listener.https) == 0 && alltrue([for rule in aws_vpc_security_group_ingress_rule.site : rule.from_port == 80])
    error_message = "A port is open that nobody listens at."
  }
  assert {
    condition     = local.environment.DJANGO_SECURE == "false" && local.environment.DJANGO_ALLOWED_HOSTS == aws_lb.web.dns_name
    error_message = "The site would send everybody to HTTPS, which it does not have."
  }
}

run "story_iv_without_other_doors" {
  command = plan

  variables {
    open_doors           = false
    video_job_topic_arns = ["arn:aws:sns:us-east-1:123456789012:story"]
  }

  assert {
    condition     = contains(keys(aws_ecs_service.this), "bridge")
    error_message = "Nobody would read the producer's messages."
  }
  assert {
    condition     = contains(keys(local.environment), "BRIDGE_QUEUE_URL_VIDEO_JOBS") && !contains(keys(local.environment), "BRIDGE_QUEUE_URL_ARRIVALS")
    error_message = "The bridge reads another queue than the producer's."
  }
  assert {
    condition     = local.environment.BRIDGE_TOPICS == "arn:aws:sns:us-east-1:123456789012:story"
    error_message = "Any topic may ask for clips."
  }
  assert {
    condition     = contains(keys(local.environment), "STORY_BUCKET") && contains(keys(local.environment), "STORY_TABLE")
    error_message = "Nobody knows where the producer looks for its clips."
  }
  assert {
    condition = [for role, policy in aws_iam_role_policy.task : role if strcontains(policy.policy, "dynamodb:")] == ["control"] && contains(
      [for statement in jsondecode(aws_iam_role_policy.task["control"].policy).Statement : [statement.Action, statement.Resource]],
      [["dynamodb:UpdateItem"], ["arn:aws:dynamodb:us-east-1:123456789012:table/stereo-spot-video-tasks"]]
    )
    error_message = "The producer's table is not written, or by somebody who need not."
  }
}
