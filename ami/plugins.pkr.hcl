# Packer 1.7 and newer fetch the plugin that this names with `packer init`. A file of its own, because
# older ones, to which the plugin belongs, refuse the block: give them s4.pkr.hcl alone.
packer {
  required_plugins {
    amazon = {
      version = ">= 1.2.0"
      source  = "github.com/hashicorp/amazon"
    }
  }
}
