# What cannot work, or would cost films, money or secrets, is refused before anything is made.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan # so that a plan knows what an apply would
}

run "what_is_refused" {
  command = plan

  variables {
    backup_days                      = 1        # a week is little enough
    dlq_max_receive_count            = 1        # a restarted worker costs one
    ecs_image_tag                    = "latest" # means another image each day
    ecs_media_worker_memory          = 1024     # a film may take six times as much
    enable_nat                       = false    # and no endpoints: no way to AWS
    gpu_on_demand_percentage         = 120
    inference_backend                = "stub"
    inference_engines                = ["stereocrafter"]     # on the default's card of 16 GB
    inference_environment            = { HF_TOKEN = "hf_x" } # would stand in the state
    inference_http_url               = "http://10.0.1.5:8080/invocations"
    load_balancer_certificate_id     = "self-signed.pem"
    log_days                         = 8
    name_prefix                      = "stereo-spot-of-a-very-long-name"
    region                           = "virginia"
    route53_zone_id                  = "Z123456" # and no domain
    sagemaker_invoke_timeout_seconds = 7200      # SageMaker's most is 3600
    segment_days                     = 1         # before a long film's last is done
    site_cidrs                       = ["0.0.0.0/0"]
    site_environment                 = { EMAIL_PASSWORD = "hunter2" } # would stand in the state
    site_secrets                     = { EMAIL_PASSWORD = "hunter2" }
    vpc_cidr                         = "10.0.0.0/24"
    zone_count                       = 1
  }

  expect_failures = [
    var.backup_days,
    var.dlq_max_receive_count,
    var.ecs_image_tag,
    var.ecs_media_worker_memory,
    var.gpu_on_demand_percentage,
    var.inference_backend,
    var.inference_environment,
    var.inference_http_url,
    var.interface_endpoints,
    var.load_balancer_certificate_id,
    var.log_days,
    var.name_prefix,
    var.region,
    var.route53_zone_id,
    var.sagemaker_instance_type,
    var.sagemaker_invoke_timeout_seconds,
    var.segment_days,
    var.site_environment,
    var.site_secrets,
    var.vpc_cidr,
    var.zone_count,
  ]
}

run "passwords_in_clear" {
  command = plan
  variables { site_cidrs = ["0.0.0.0/0"] }
  expect_failures = [var.site_cidrs]
}
