"""AWS: how its clients are made, and its errors become ours.

The only room that imports boto3, and only inside functions: that takes 0.2 s and 30 MB, which nobody
pays who does not use it. Credentials, region and endpoint are found as boto3 finds them; nothing here
reads or prints them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from .errors import (
    AwsBusy,
    AwsDenied,
    AwsMissing,
    AwsRefused,
    AwsRegion,
    AwsUnreachable,
    ConnectionLost,
    ObjectChanged,
    S4Error,
)

_ATTEMPTS = 4
_CONNECT_S = 3.0
_READ_S = 20.0
_REASON_MAX = 300

_making = threading.Lock()
"""boto3's default session is not made for several threads at once."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CODES: Mapping[type[S4Error], frozenset[str]] = {
    AwsDenied: _words(
        "AccessDenied AllAccessDisabled AccountProblem InvalidAccessKeyId SignatureDoesNotMatch"
        " ExpiredToken InvalidToken InvalidClientTokenId RequestExpired RequestTimeTooSkewed AuthFailure"
        " UnauthorizedOperation UnrecognizedClientException 401 403"
    ),
    AwsMissing: _words("NoSuchBucket NoSuchKey NoSuchUpload NoSuchEntity 404"),
    AwsRegion: _words(
        "PermanentRedirect TemporaryRedirect AuthorizationHeaderMalformed"
        " IllegalLocationConstraintException 301 307 308"
    ),
    AwsRefused: _words("InvalidObjectState"),
    ObjectChanged: _words("PreconditionFailed InvalidRange 412 416"),
    AwsBusy: _words(
        "SlowDown Throttling ThrottlingException RequestLimitExceeded TooManyRequests InternalError"
        " ServiceUnavailable InternalFailure Unavailable RequestTimeout OperationAborted"
        " InsufficientInstanceCapacity 429"
    ),
}

_ADVICE: Mapping[type[S4Error], str] = {
    AwsDenied: "are the credentials right, and may they do this?",
    AwsMissing: "is its name right?",
    AwsRegion: "set AWS_DEFAULT_REGION to the right one",
    ObjectChanged: "it changed meanwhile; try again",
    AwsBusy: "try again later",
}


def client(service: str, region: str | None = None, **settings: Any) -> Any:
    """A boto3 client that retries as the `standard` mode does and gives up in time; safe to use from
    several threads. `settings` are those of botocore's Config. Raises AwsDenied, AwsRegion or AwsRefused
    for what is missing or can not be read in the configuration."""
    with aws_errors(f"can not use {service}"), _making:
        import boto3
        from botocore.config import Config

        logging.getLogger("botocore").setLevel(logging.WARNING)  # it tells where credentials were found
        config = Config(
            **{
                "retries": {"mode": "standard", "total_max_attempts": _ATTEMPTS},
                "connect_timeout": _CONNECT_S,
                "read_timeout": _READ_S,
                # Ranges have no checksum of their own, and not every S3 knows those of whole objects:
                # what there is, is asked for and compared where an object is moved.
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
                "user_agent_extra": "s4zmq",
                **settings,
            }
        )
        return boto3.session.Session().client(service, region_name=region, config=config)


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Errors of boto3, and of the connections below it, as ours: `doing`, the reason, what to do.

    `doing` names what failed, on what, and where that is known on which node: "can not read
    s3://bucket/key". An S4Error passes as it is.
    """
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        HTTPClientError,
        IncompleteReadError,
    )

    try:
        yield
    except ClientError as exc:
        raise _refusal(doing, exc.response) from exc
    except (ConnectionError, HTTPClientError, IncompleteReadError) as exc:
        raise _broken(doing, exc) from exc
    except BotoCoreError as exc:
        raise _misuse(doing, exc) from exc


def _refusal(doing: str, response: Mapping[str, Any]) -> S4Error:
    """What the service has answered."""
    error = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.get("Code") or status)
    kind = _kind(code, status)
    said = _one_line(str(error.get("Message") or "").partition(" Encoded authorization")[0])
    reason = f"{said.rstrip('.')} ({code})" if said and code not in said else said or code
    if kind is AwsRegion:
        where = error.get("Region") or _region_header(response)
        reason += f"; it is in {where}" if where else ""
    return kind(f"{doing}: {reason}" + (f": {_ADVICE[kind]}" if kind in _ADVICE else ""), aws=code)


def _kind(code: str, status: int) -> type[S4Error]:
    for kind, codes in _CODES.items():
        if code in codes:
            return kind
    if code.endswith((".NotFound", ".Malformed")) or status == 404:
        return AwsMissing
    if status >= 500:
        return AwsBusy
    if status in (301, 307, 308):
        return AwsRegion
    return AwsDenied if status in (401, 403) else AwsRefused


def _region_header(response: Mapping[str, Any]) -> str:
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-amz-bucket-region", ""))


def _broken(doing: str, exc: Exception) -> S4Error:
    """No answer, or one that broke off."""
    from botocore import exceptions

    fields = getattr(exc, "kwargs", {})
    where = _host(str(fields.get("endpoint_url") or ""))
    broken = (
        exceptions.ConnectionClosedError,
        exceptions.ResponseStreamingError,
        exceptions.IncompleteReadError,
    )
    if isinstance(exc, broken):
        return ConnectionLost(f"{doing}: the connection{where} broke: try again")
    if isinstance(exc, exceptions.ReadTimeoutError):
        return AwsUnreachable(f"{doing}: the endpoint{where} was silent for {_READ_S:g} s: try again")
    if isinstance(exc, exceptions.SSLError):
        return AwsUnreachable(f"{doing}: the endpoint{where} has no certificate that is trusted here")
    return AwsUnreachable(
        f"{doing}: the endpoint{where} does not answer: is AWS_ENDPOINT_URL right, where it is set, and"
        " the network up?"
    )


def _host(url: str) -> str:
    """` host:port` of a URL: what else stands in it may be secret."""
    found = urlsplit(url)
    return f" {found.netloc.rpartition('@')[2]}" if found.netloc else ""


def _misuse(doing: str, exc: Exception) -> S4Error:
    """What boto3 itself refuses."""
    from botocore import exceptions

    credentials = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.UnauthorizedSSOTokenError,
        exceptions.SSOTokenLoadError,
    )
    if isinstance(exc, credentials):
        return AwsDenied(
            f"{doing}: no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or"
            " give the machine a role"
        )
    if isinstance(exc, exceptions.NoRegionError):
        return AwsRegion(f"{doing}: no region is set: {_ADVICE[AwsRegion]}")
    if isinstance(exc, exceptions.FlexibleChecksumError):
        return ConnectionLost(f"{doing}: bytes were damaged on their way: try again")
    return AwsRefused(f"{doing}: {_one_line(str(exc))}")


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _REASON_MAX else words[:_REASON_MAX] + "…"
