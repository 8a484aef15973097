"""Errors of AWS become ours: one clear line, the right class, and no secret in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions

import s4zmq
from s4zmq import aws, errors

DOING = "node 127.0.0.1:80 can not read s3://bucket/key"


def answer(code: str, status: int, message: str = "", **headers: str) -> exceptions.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    return exceptions.ClientError(response, "GetObject")


def ours(foreign: Exception) -> errors.S4Error:
    with pytest.raises(errors.S4Error) as raised, aws.aws_errors(DOING):
        raise foreign
    error = raised.value
    assert error.text.startswith(f"{DOING}: ")
    assert "\n" not in error.text
    return error


@pytest.mark.parametrize(
    ("foreign", "kind", "words"),
    [
        (answer("AccessDenied", 403, "Access Denied"), errors.AwsDenied, "Access Denied (AccessDenied)"),
        (answer("403", 403, "Forbidden"), errors.AwsDenied, "credentials"),
        (answer("UnauthorizedOperation", 403, "no. Encoded authorization: x"), errors.AwsDenied, "no (Una"),
        (answer("NoSuchKey", 404), errors.AwsMissing, "NoSuchKey"),
        (answer("InvalidInstanceID.NotFound", 400), errors.AwsMissing, "name"),
        (
            answer("PermanentRedirect", 301, **{"x-amz-bucket-region": "eu-west-1"}),
            errors.AwsRegion,
            "it is in eu-west-1: set AWS_DEFAULT_REGION",
        ),
        (answer("InvalidObjectState", 403), errors.AwsRefused, "InvalidObjectState"),
        (answer("412", 412), errors.ObjectChanged, "changed"),
        (answer("SlowDown", 503), errors.AwsBusy, "later"),
        (answer("Unheard", 502, "bad\ngateway"), errors.AwsBusy, "bad gateway"),
        (answer("EntityTooLarge", 400), errors.AwsRefused, "EntityTooLarge"),
        (exceptions.NoCredentialsError(), errors.AwsDenied, "AWS_ACCESS_KEY_ID"),
        (exceptions.NoRegionError(), errors.AwsRegion, "AWS_DEFAULT_REGION"),
        (exceptions.ParamValidationError(report="x" * 999), errors.AwsRefused, "…"),
        (exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), errors.ConnectionLost, "broke"),
        (exceptions.ReadTimeoutError(endpoint_url="http://h:1"), errors.AwsUnreachable, "h:1 was silent"),
        (
            exceptions.SSLError(endpoint_url="https://h", error=OSError()),
            errors.AwsUnreachable,
            "certificate",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_says_what_and_why_and_what_to_do(
    foreign: Exception, kind: type[errors.S4Error], words: str
) -> None:
    error = ours(foreign)
    assert type(error) is kind
    assert words in error.text


def test_what_an_endpoint_has_beside_its_host_is_not_shown() -> None:
    url = "http://user:secret@host:9/b?X-Amz-Signature=secret"
    error = ours(exceptions.EndpointConnectionError(endpoint_url=url))
    assert (type(error), error.exit_status) == (errors.AwsUnreachable, 3)
    assert "host:9" in error.text
    assert "secret" not in error.text


def test_an_error_of_ours_passes_and_so_does_a_bug() -> None:
    for error in (errors.KeyExists("taken"), ZeroDivisionError()):
        with pytest.raises(type(error)) as raised, aws.aws_errors(DOING):
            raise error
        assert raised.value is error


def test_a_client_without_a_region_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(errors.AwsRegion, match="no region is set"):
        aws.client("ec2")
    assert aws.client("ec2", "eu-west-1", connect_timeout=1).meta.config.connect_timeout == 1


def test_only_this_room_imports_boto3_and_no_import_of_a_room_loads_it() -> None:
    found = [
        path.name
        for path in Path(s4zmq.__file__).parent.rglob("*.py")
        if "import boto" in path.read_text() or "from boto" in path.read_text()
    ]
    assert found == ["aws.py"]
    code = "import sys, s4zmq.aws, s4zmq.node, s4zmq.cli; sys.exit('boto3' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
