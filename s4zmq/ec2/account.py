"""The clients of one region, each made when it is first needed."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ..aws import aws_errors, client


class Account:
    """An AWS account in one region: `region`, else that of boto3's configuration."""

    def __init__(self, region: str | None = None) -> None:
        self._region = region

    def forget(self) -> None:
        """Make the clients anew when they are next needed: one that was made where no credentials were
        to be had yet does not look again."""
        for name in ("ec2", "iam", "ssm"):
            self.__dict__.pop(name, None)

    @cached_property
    def ec2(self) -> Any:
        return client("ec2", self._region)

    @cached_property
    def iam(self) -> Any:
        return client("iam", self.region)

    @cached_property
    def ssm(self) -> Any:
        return client("ssm", self.region)

    @property
    def region(self) -> str:
        """Raises AwsRegion where none is set."""
        return str(self.ec2.meta.region_name)

    @cached_property
    def arn_root(self) -> tuple[str, str]:
        """(partition, account id), for names of resources. Raises AwsDenied for bad credentials."""
        with aws_errors("can not ask whose credentials these are"):
            identity = client("sts", self.region).get_caller_identity()
        return str(identity["Arn"]).split(":")[1], str(identity["Account"])
