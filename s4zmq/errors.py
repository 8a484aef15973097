"""Every error that a user can meet: its code on the wire, its exit status, whether a retry helps.

Three families by whose fault it is: the request (`RequestError`), the world (`WorldError`), the
user's command (`CommandFailed`). A bug stays an ordinary Python exception. The mapping between code
and class is made from the classes, so the wire, the exit status and the text can not disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class S4Error(Exception):
    """Something went wrong that has a name. The text says what, on which key and node, what to do."""

    code = "E_INTERNAL"
    exit_status = 1

    def __init__(self, text: str, **details: Any) -> None:
        super().__init__(text)
        self.text = text
        self.details = details
        """Facts for programs, of types that msgpack knows: `key`, as full text, and `node`, where it is
        about one, and what else the class names."""


class RequestError(S4Error):
    """What was asked for can not be done, and asking again will not help."""

    code = "E_REQUEST"


class WorldError(S4Error):
    """The request was fine; a node, a disk or the network was not."""

    code = "E_WORLD"


class KeyInvalid(RequestError):
    """A key, prefix or folder that breaks the rules of `keys`."""

    code = "E_KEY"


class KeyNotFound(RequestError):
    """No such key, or nothing below a prefix."""

    code = "E_NOT_FOUND"


class KeyExists(RequestError):
    """Keys are immutable: the name is taken. `details["digest"]` tells whose bytes stand there."""

    code = "E_EXISTS"


class KeyReplaced(RequestError):
    """What is read is gone: the key was removed and made anew with another value."""

    code = "E_REPLACED"


class WrongOwner(RequestError):
    """The key does not live on the node that was asked."""

    code = "E_WRONG_OWNER"


class WrongRoster(RequestError):
    """Client and node, or node and data folder, disagree about the list of nodes."""

    code = "E_ROSTER"


class WrongVersion(RequestError):
    """The other side speaks another version of the protocol."""

    code = "E_VERSION"


class AccessDenied(RequestError):
    """The other side has another cluster key, or only one side has one; or it is no node at all."""

    code = "E_ACCESS"


class ProtocolError(RequestError):
    """A message that is malformed, over a limit, or out of order."""

    code = "E_PROTOCOL"


class ConfigError(RequestError):
    """No conf file, a bad line in it, or an option that can not be used."""

    code = "E_CONFIG"


class UsageError(RequestError):
    """An option with a value that it can not have."""

    code = "E_USAGE"
    exit_status = 2


class LocalFileError(RequestError):
    """A file of the user's that is missing, unreadable, or changed while it was read."""

    code = "E_LOCAL_FILE"


class ChecksumMismatch(WorldError):
    """Bytes are not what they were when the key was made."""

    code = "E_CHECKSUM"


class NoSpace(WorldError):
    """A disk is full, or would be."""

    code = "E_NO_SPACE"


class StorageError(WorldError):
    """The file system refused something else."""

    code = "E_STORAGE"


class NodeBusy(WorldError):
    """A limit of the node is reached, or it is draining. Trying again may help."""

    code = "E_BUSY"
    exit_status = 3


class Cancelled(WorldError):
    """The job or transfer was torn down before its end: its client was not heard of, or said so. Trying
    again may help."""

    code = "E_CANCELLED"
    exit_status = 3


class JobCancelled(Cancelled):
    """Somebody has stopped the job with `s4 cancel`. Not as `Cancelled` is: whoever tries again by himself
    where that may help shall not start anew what a person wanted to end."""

    code = "E_JOB_CANCELLED"
    exit_status = 1


class QueueFull(NodeBusy):
    """The node works on as much as it may hold, and has dropped the request unread. The asking side
    sends it again by itself for a while."""

    code = "E_QUEUE"


class NodeUnreachable(WorldError):
    """No answer: the node is down, hung or cut off. Trying again may help."""

    code = "E_UNREACHABLE"
    exit_status = 3


class ConnectionLost(WorldError):
    """Bytes on their way were lost with a connection. Trying again may help."""

    code = "E_CONNECTION"
    exit_status = 3


class AwsMissing(RequestError):
    """No such bucket, object, image or the like."""

    code = "E_AWS_MISSING"


class AwsDenied(RequestError):
    """No credentials, wrong ones, or none that may do this."""

    code = "E_AWS_DENIED"


class AwsRegion(RequestError):
    """The bucket is in another region than the one that was asked, or none is set."""

    code = "E_AWS_REGION"


class AwsRefused(RequestError):
    """AWS refused a request for a reason of its own, which the text tells."""

    code = "E_AWS_REFUSED"


class ObjectChanged(WorldError):
    """An S3 object is not the one that was listed any more."""

    code = "E_OBJECT_CHANGED"


class AwsUnreachable(WorldError):
    """The endpoint does not answer. Trying again may help."""

    code = "E_AWS_UNREACHABLE"
    exit_status = 3


class AwsBusy(WorldError):
    """The service answers with errors of its own, or wants fewer requests. Trying again may help."""

    code = "E_AWS_BUSY"
    exit_status = 3


class CommandFailed(S4Error):
    """The user's command ended with a status other than 0, which `details` has with key and node; or it
    printed what is no output of it."""

    code = "E_COMMAND"
    stderr = b""
    """After `eval`, and on the node that ran it: the end of what it wrote there. Of a map `logs` has it."""
    stderr_cut = 0
    """Bytes of it before these."""


class InternalError(S4Error):
    """A bug on a node; its log has the traceback."""

    code = "E_INTERNAL"


def _all_classes(base: type[S4Error]) -> Iterator[type[S4Error]]:
    for cls in base.__subclasses__():
        yield cls
        yield from _all_classes(cls)


BY_CODE: Mapping[str, type[S4Error]] = {cls.code: cls for cls in _all_classes(S4Error)}


def from_code(code: str, text: str, details: Mapping[str, Any]) -> S4Error:
    """The error that a node described. A code that this version does not know keeps its text."""
    error = BY_CODE.get(code, S4Error)(text)
    error.details = dict(details)
    return error


@contextmanager
def map_errors(table: Mapping[Any, type[S4Error]], what: str) -> Iterator[None]:
    """Translate foreign exceptions at the edge: the first class of `table` that fits wins.

    An S4Error passes as it is.
    """
    try:
        yield
    except tuple(table) as exc:
        for foreign, ours in table.items():
            if isinstance(exc, foreign):
                reason = getattr(exc, "strerror", None) or str(exc)
                raise ours(f"{what}: {reason}") from exc
