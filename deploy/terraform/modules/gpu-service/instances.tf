# The card's machine. ECS asks for one when a task has no place, and gives it back.

resource "aws_launch_template" "this" {
  name_prefix            = "${local.name}-"
  image_id               = var.gpu_ami_id != "" ? var.gpu_ami_id : "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
  update_default_version = true
  vpc_security_group_ids = [var.network.security_group_id]

  iam_instance_profile {
    arn = aws_iam_instance_profile.this.arn
  }
  metadata_options { # version 2 only, and not for what runs in containers
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  monitoring {
    enabled = true
  }
  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_type = "gp3"
      volume_size = 100 # image 15 GB, weights 8 to 35 GB
      encrypted   = true
    }
  }
  user_data = base64encode(<<-SCRIPT
    #!/bin/bash
    cat >> /etc/ecs/ecs.config <<-CONFIG
    ECS_CLUSTER=${var.cluster.name}
    ECS_ENABLE_GPU_SUPPORT=true
    ECS_ENABLE_SPOT_INSTANCE_DRAINING=true
    ECS_CONTAINER_STOP_TIMEOUT=110s
    ECS_AWSVPC_BLOCK_IMDS=true
    CONFIG
    install --directory --mode 1777 ${local.home}
  SCRIPT
  )
}

resource "aws_autoscaling_group" "this" {
  name                  = local.name
  min_size              = 0
  max_size              = 2 # one more while one is replaced
  vpc_zone_identifier   = var.network.subnet_ids
  health_check_type     = "EC2"
  protect_from_scale_in = false
  capacity_rebalance    = true # Spot's warning brings the next one early

  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = 0
      on_demand_percentage_above_base_capacity = var.on_demand_percentage
      spot_allocation_strategy                 = "price-capacity-optimized"
    }
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.this.id
        version            = aws_launch_template.this.latest_version
      }
      dynamic "override" {
        for_each = var.gpu_instance_types

        content {
          instance_type = override.value
        }
      }
    }
  }

  tag {
    key                 = "AmazonECSManaged"
    value               = ""
    propagate_at_launch = true
  }
  tag {
    key                 = "Name"
    value               = local.name
    propagate_at_launch = true
  }

  lifecycle {
    ignore_changes = [desired_capacity] # the capacity provider's
  }
}

resource "aws_ecs_capacity_provider" "this" {
  name = local.name

  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.this.arn
    managed_draining               = "ENABLED"
    managed_termination_protection = "DISABLED"

    managed_scaling {
      status                    = "ENABLED"
      target_capacity           = 100
      minimum_scaling_step_size = 1
      maximum_scaling_step_size = 1
      instance_warmup_period    = 300
    }
  }
}

resource "aws_iam_role" "instance" {
  name               = "${local.name}-instance"
  assume_role_policy = var.trust.ec2
}

resource "aws_iam_instance_profile" "this" {
  name = local.name
  role = aws_iam_role.instance.name
}

resource "aws_iam_role_policy" "instance" {
  name = "join-the-cluster"
  role = aws_iam_role.instance.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["ecs:DeregisterContainerInstance", "ecs:RegisterContainerInstance", "ecs:SubmitAttachmentStateChanges", "ecs:SubmitContainerStateChange", "ecs:SubmitTaskStateChange"]
        Resource = [var.cluster.arn]
      },
      {
        Effect    = "Allow"
        Action    = ["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"]
        Resource  = [replace("${var.cluster.arn}/*", ":cluster/", ":container-instance/")]
        Condition = { ArnEquals = { "ecs:cluster" = var.cluster.arn } }
      },
      { # where the cluster is to be asked for has no resource
        Effect   = "Allow"
        Action   = ["ecs:DiscoverPollEndpoint"]
        Resource = ["*"]
      },
    ]
  })
}
