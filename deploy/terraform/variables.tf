# Names and defaults are the seeds' where the thing they name is still there; README.md says
# which are not, and why.

variable "region" {
  description = "AWS region (also TF_VAR_region)"
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: such as us-east-1."
  }
}

variable "name_prefix" {
  description = "Prefix for resource names; two systems in one account differ in it"
  type        = string
  default     = "stereo-spot"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix: 3 to 20 lower-case letters, digits and dashes; a load balancer's name has room for no more."
  }
}

variable "environment" {
  description = "Value of the tag Environment"
  type        = string
  default     = "production"
}

variable "deletion_protection" {
  description = "Refuse to delete the database, the load balancer and what has films or images in it; off only to take everything down"
  type        = bool
  default     = true
}

# --- Network ---

variable "vpc_cidr" {
  description = "Addresses of the VPC: a /16"
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && endswith(var.vpc_cidr, "/16")
    error_message = "vpc_cidr: a /16, such as 10.0.0.0/16."
  }
}

variable "zone_count" {
  description = "Availability zones: RDS and the load balancer want two"
  type        = number
  default     = 2

  validation {
    condition     = var.zone_count >= 2 && var.zone_count <= 3
    error_message = "zone_count: 2 or 3."
  }
}

variable "enable_nat" {
  description = "A NAT gateway: the way to AWS's services, the hub of weights and films by URL"
  type        = bool
  default     = true
}

variable "nat_per_zone" {
  description = "A NAT gateway in each zone, for twice the price"
  type        = bool
  default     = false
}

variable "interface_endpoints" {
  description = "AWS services that are reached inside the VPC, each for its price an hour and zone; without NAT six are needed, and with SageMaker eight"
  type        = set(string)
  default     = []

  validation {
    condition = var.enable_nat || length(setsubtract(
      ["ecr.api", "ecr.dkr", "logs", "monitoring", "secretsmanager", "sqs"], var.interface_endpoints
    )) == 0
    error_message = "interface_endpoints: without NAT at least ecr.api, ecr.dkr, logs, monitoring, secretsmanager and sqs."
  }
}

# --- The site ---

variable "site_domain" {
  description = "Host name of the site, such as films.example.com; empty: the load balancer's own name, without HTTPS"
  type        = string
  default     = ""

  validation {
    condition     = var.site_domain == "" || can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.site_domain))
    error_message = "site_domain: a host name in lower case, without https://."
  }
}

variable "route53_zone_id" {
  description = "Zone of site_domain in Route 53: a certificate and the name are made there"
  type        = string
  default     = ""

  validation {
    condition     = var.route53_zone_id == "" || var.site_domain != ""
    error_message = "route53_zone_id: wants site_domain."
  }
}

variable "load_balancer_certificate_id" {
  description = "ARN of your own certificate in ACM, for site_domain"
  type        = string
  default     = ""

  validation {
    condition     = var.load_balancer_certificate_id == "" || (can(regex("^arn:aws[a-z-]*:acm:", var.load_balancer_certificate_id)) && var.site_domain != "")
    error_message = "load_balancer_certificate_id: the ARN of a certificate in ACM; wants site_domain."
  }
}

variable "site_cidrs" {
  description = "Addresses that may reach the site; everybody with HTTPS, else your own: a site without HTTPS shows passwords to whoever listens"
  type        = set(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition = (
      var.load_balancer_certificate_id != "" || var.route53_zone_id != "" ||
      alltrue([for cidr in var.site_cidrs : tonumber(split("/", cidr)[1]) >= 16])
    )
    error_message = "site_cidrs: without HTTPS (route53_zone_id or load_balancer_certificate_id) name your own addresses, such as [\"203.0.113.7/32\"]."
  }
}

variable "enable_waf" {
  description = "A web application firewall before the site"
  type        = bool
  default     = false
}

variable "site_environment" {
  description = "More variables of the site and its workers (docs/operations.md#environment), such as those of e-mail; nothing secret"
  type        = map(string)
  default     = {}

  validation {
    condition     = !anytrue([for name in keys(var.site_environment) : can(regex("(SECRET|PASSWORD|TOKEN|PRIVATE|API_KEY)", name))])
    error_message = "site_environment: secrets would stand in the state; name their ARNs in site_secrets."
  }
}

variable "site_secrets" {
  description = "More variables whose values Secrets Manager has: name to ARN of the secret"
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for arn in values(var.site_secrets) : can(regex("^arn:aws[a-z-]*:secretsmanager:", arn))])
    error_message = "site_secrets: ARNs of secrets in Secrets Manager."
  }
}

variable "log_level" {
  description = "Least severity that is logged"
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "log_level: DEBUG, INFO, WARNING or ERROR."
  }
}

variable "log_days" {
  description = "Days that logs are kept"
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_days)
    error_message = "log_days: one of CloudWatch's: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731."
  }
}

# --- Queues, buckets, database ---

variable "dlq_max_receive_count" {
  description = "Receipts after which a message goes to the dead-letter queue; null: the application's own (workers/queues.json)"
  type        = number
  default     = null

  validation {
    condition     = var.dlq_max_receive_count == null ? true : var.dlq_max_receive_count >= 3
    error_message = "dlq_max_receive_count: 3 or more; a restarted worker costs a receipt."
  }
}

variable "open_doors" {
  description = "S3 and SageMaker say what has arrived, and a service reads it: drop folders, and a second or two sooner for everything else"
  type        = bool
  default     = false
}

variable "upload_days" {
  description = "Days after which an upload that was never finished is thrown away"
  type        = number
  default     = 7
}

variable "segment_days" {
  description = "Days after which forgotten segments expire; longer than any film takes"
  type        = number
  default     = 14

  validation {
    condition     = var.segment_days >= 2
    error_message = "segment_days: 2 or more; a long film's first segments wait for its last."
  }
}

variable "source_days" {
  description = "Days after which sources expire, whatever became of them; 0: never"
  type        = number
  default     = 0
}

variable "database_instance_class" {
  description = "Size of the ledger's server"
  type        = string
  default     = "db.t4g.micro"
}

variable "database_max_gigabytes" {
  description = "To which its disk may grow by itself"
  type        = number
  default     = 100
}

variable "database_multi_az" {
  description = "A second server in another zone takes over, for twice the price"
  type        = bool
  default     = false
}

variable "backup_days" {
  description = "Days back to which the ledger can be restored"
  type        = number
  default     = 7

  validation {
    condition     = var.backup_days >= 7 && var.backup_days <= 35
    error_message = "backup_days: 7 to 35."
  }
}

# --- People ---

variable "alarm_email" {
  description = "Who is told of alarms, and has to confirm a message of AWS once; empty: nobody"
  type        = string
  default     = ""
}

variable "monthly_budget" {
  description = "US dollars a month; alarm_email hears at 80 % and when it is going to be exceeded; 0: no budget"
  type        = number
  default     = 0
}

variable "admin_email" {
  description = "E-mail address of the first administrator"
  type        = string
  default     = ""
}
