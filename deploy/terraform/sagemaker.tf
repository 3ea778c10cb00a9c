# Inference by an asynchronous endpoint, with no instance while nothing is asked for.

locals {
  sagemaker     = var.inference_backend == "sagemaker"
  endpoint_name = "${local.prefix}-inference"
  # Without an image the endpoint would be Failed, and stay so.
  endpoint = local.sagemaker && var.inference_image_tag != "" ? 1 : 0

  engine_environment = merge(
    {
      AWS_REGION        = var.region
      INFERENCE_ENGINES = join(",", var.inference_engines)
      RESULT_BUCKET     = local.buckets.result
      SOURCE_BUCKET     = local.buckets.source
    },
    var.inference_environment,
  )

  # Named by what it is made of: SageMaker keeps the old one while it brings up the new.
  model_name = "${local.prefix}-${substr(sha1(jsonencode([var.inference_image_tag, local.engine_environment])), 0, 10)}"
}

resource "aws_sagemaker_model" "inference" {
  count = local.endpoint

  name               = local.model_name
  execution_role_arn = aws_iam_role.sagemaker[0].arn

  primary_container {
    image = local.inference_image
    # The token itself would stand in the model's description; its place is no secret.
    environment = merge(local.engine_environment, { HF_TOKEN_ARN = local.secret_arns["hf-token"] })
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_iam_role_policy.sagemaker]
}

# By way of CloudFormation because torch's CUDA 13 needs driver 580, which only this AMI has,
# and the provider's own list of AMIs (5.100.0) ends before it.
locals {
  endpoint_config_template = jsonencode({
    Resources = {
      Config = {
        Type = "AWS::SageMaker::EndpointConfig"
        Properties = {
          ProductionVariants = [{
            VariantName                                 = "AllTraffic"
            ModelName                                   = local.model_name
            InstanceType                                = var.sagemaker_instance_type
            InitialInstanceCount                        = 1
            InitialVariantWeight                        = 1
            InferenceAmiVersion                         = var.sagemaker_inference_ami_version
            ContainerStartupHealthCheckTimeoutInSeconds = 3600 # weights come first
          }]
          AsyncInferenceConfig = {
            ClientConfig = { MaxConcurrentInvocationsPerInstance = 1 }
            OutputConfig = merge(
              {
                S3OutputPath  = "s3://${local.buckets.result}/sagemaker/answers/"
                S3FailurePath = "s3://${local.buckets.result}/sagemaker/failures/"
              },
              length(local.sagemaker_topic_arns) == 0 ? {} : {
                NotificationConfig = {
                  SuccessTopic = local.sagemaker_topic_arns["success"]
                  ErrorTopic   = local.sagemaker_topic_arns["error"]
                }
              },
            )
          }
        }
      }
    }
    Outputs = { Name = { Value = { "Fn::GetAtt" = ["Config", "EndpointConfigName"] } } }
  })
}

resource "aws_cloudformation_stack" "endpoint_config" {
  count = local.endpoint

  name          = "${local.prefix}-endpoint-config-${substr(sha1(local.endpoint_config_template), 0, 10)}"
  template_body = local.endpoint_config_template

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_sagemaker_model.inference, aws_sns_topic.sagemaker]
}

resource "aws_sagemaker_endpoint" "inference" {
  count = local.endpoint

  name                 = local.endpoint_name
  endpoint_config_name = aws_cloudformation_stack.endpoint_config[0].outputs["Name"]
}

resource "aws_cloudwatch_log_group" "endpoint" {
  count = local.sagemaker ? 1 : 0

  name              = "/aws/sagemaker/Endpoints/${local.endpoint_name}"
  retention_in_days = var.log_days
}

resource "aws_iam_role" "sagemaker" {
  count = local.sagemaker ? 1 : 0

  name               = "${local.prefix}-sagemaker-endpoint"
  assume_role_policy = local.trust["sagemaker"]
}

resource "aws_iam_role_policy" "sagemaker" {
  count = local.sagemaker ? 1 : 0

  name = "convert"
  role = aws_iam_role.sagemaker[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.may_pull,
      local.may_convert,
      [
        { # requests lie among the segments; answers are SageMaker's own, written as this role
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject"]
          Resource = local.objects.answers
        },
        {
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
          Resource = "${local.arn_of.logs}:log-group:/aws/sagemaker/Endpoints/${local.endpoint_name}:*"
        },
        { # CloudWatch has no narrower resource; the condition names the namespace
          Effect    = "Allow"
          Action    = "cloudwatch:PutMetricData"
          Resource  = "*"
          Condition = { StringLike = { "cloudwatch:namespace" = ["/aws/sagemaker/*", "AWS/SageMaker"] } }
        },
      ],
      length(local.sagemaker_topic_arns) == 0 ? [] : [{
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = values(local.sagemaker_topic_arns)
      }],
    )
  })
}

# What whoever runs the inference image may do with films.
locals {
  may_convert = [
    { Effect = "Allow", Action = ["s3:GetObject"], Resource = [local.objects.segments] },
    {
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:PutObjectTagging"]
      Resource = [local.objects.results, local.objects.clips]
    },
    { Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = [local.secret_arns["hf-token"]] },
  ]
}
