# The image that `s4 cluster up` starts: Debian with what provision.sh adds.
#
# Debian's packer 1.6 does not know the lines between `# packer >= 1.7` and `# end`.

variable "package" {
  type        = string
  description = "A wheel or an sdist of s4zmq."
}

variable "name" {
  type        = string
  default     = "s4"
  description = "The image is called NAME-TIME; `--ami NAME` takes the newest of them."
}

variable "region" {
  type    = string
  default = "us-east-1"
}

variable "type" {
  type        = string
  default     = "c6i.large"
  description = "The machine that builds; of the same architecture as the base."
}

variable "base" {
  type        = string
  default     = "debian-12-amd64-*"
  description = "The newest image of this name is the base."
}

variable "owner" {
  type        = string
  default     = "136693071363"
  description = "The account whose image the base must be: Debian's."
}

variable "ssh_user" {
  type        = string
  default     = "admin"
  description = "The user that the base lets in: admin on Debian, ubuntu on Ubuntu."
}

variable "root_device" {
  type        = string
  default     = "/dev/xvda"
  description = "As the base calls its root disk: /dev/xvda on Debian, /dev/sda1 on Ubuntu."
}

locals {
  time = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "s4" {
  ami_name        = "${var.name}-${local.time}"
  ami_description = "A node of s4: immutable keys, and shell commands where they lie"
  region          = var.region
  instance_type   = var.type
  ssh_username    = var.ssh_user
  encrypt_boot    = true

  # packer >= 1.7
  imds_support = "v2.0"
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  # end

  source_ami_filter {
    filters = {
      name                = var.base
      architecture        = "x86_64"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = [var.owner]
    most_recent = true
  }

  launch_block_device_mappings {
    device_name           = var.root_device
    volume_type           = "gp3"
    volume_size           = 16
    iops                  = 3000
    throughput            = 125
    delete_on_termination = true
  }

  tags = {
    Name        = "${var.name}-${local.time}"
    created-by  = "s4zmq"
    s4-ssh-user = var.ssh_user
  }
  snapshot_tags = {
    created-by = "s4zmq"
  }
  run_tags = {
    Name       = "${var.name}-image-build"
    created-by = "s4zmq-image"
  }
  run_volume_tags = {
    created-by = "s4zmq-image"
  }
}

build {
  sources = ["source.amazon-ebs.s4"]

  provisioner "shell" {
    inline = ["cloud-init status --wait > /dev/null || true", "mkdir -p /tmp/s4-image/package"]
  }
  provisioner "file" {
    source      = "${path.root}/"
    destination = "/tmp/s4-image"
  }
  provisioner "file" {
    source      = var.package
    destination = "/tmp/s4-image/package/"
  }
  provisioner "shell" {
    inline = [
      "sudo bash /tmp/s4-image/provision.sh /tmp/s4-image/package/*",
      "sudo bash /tmp/s4-image/forget.sh",
    ]
  }
}
