"""Errors: codes, classes, exit statuses, and their way over the wire."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from s4zmq import errors
from s4zmq.codec import error_of, failure_of, row_of
from s4zmq.errors import BY_CODE, KeyNotFound, NoSpace, S4Error, StorageError, from_code, map_errors

FAMILIES = {errors.RequestError, errors.WorldError}
RETRY_MAY_HELP = {
    errors.NodeBusy,
    errors.QueueFull,
    errors.NodeUnreachable,
    errors.ConnectionLost,
    errors.Cancelled,
    errors.AwsUnreachable,
    errors.AwsBusy,
}


def all_classes(base: type[S4Error] = S4Error) -> Iterator[type[S4Error]]:
    for cls in (cls for cls in base.__subclasses__() if cls.__module__ == errors.__name__):
        yield cls
        yield from all_classes(cls)


CLASSES = list(all_classes())


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_class_has_a_code_of_its_own_that_leads_back_to_it(cls: type[S4Error]) -> None:
    assert BY_CODE[cls.code] is cls
    assert "code" in vars(cls), "the code was inherited"
    assert cls.__doc__


def test_there_are_as_many_codes_as_classes() -> None:
    assert len(BY_CODE) == len(CLASSES)
    assert all(code.startswith("E_") and code.isupper() for code in BY_CODE)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_the_exit_status_says_whether_trying_again_may_help(cls: type[S4Error]) -> None:
    expected = 2 if cls is errors.UsageError else 3 if cls in RETRY_MAY_HELP else 1
    assert cls.exit_status == expected


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_has_exactly_one_family(cls: type[S4Error]) -> None:
    if cls not in FAMILIES | {errors.CommandFailed, errors.InternalError}:
        assert sum(issubclass(cls, family) for family in FAMILIES) == 1


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_survives_the_wire(cls: type[S4Error]) -> None:
    error = cls("what, which key, what to do", status=3, key="s4://b/k")
    for back in (from_code(*failure_of(error)), error_of(row_of(7, error))):
        assert type(back) is cls
        assert (back.text, str(back), back.details) == (error.text, error.text, error.details)


def test_an_unknown_code_keeps_its_text_and_fails() -> None:
    error = from_code("E_OF_ANOTHER_VERSION", "what it says", {"a": 1})
    assert type(error) is S4Error
    assert (error.text, error.details, error.exit_status) == ("what it says", {"a": 1}, 1)


def test_a_foreign_error_becomes_the_first_class_that_fits() -> None:
    table = {FileNotFoundError: KeyNotFound, OSError: StorageError}
    with pytest.raises(KeyNotFound, match="reading: No such file") as caught, map_errors(table, "reading"):
        os.stat("/nonexistent/file")
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    with pytest.raises(StorageError, match="reading: Is a directory"), map_errors(table, "reading"):
        os.open("/", os.O_WRONLY)


def test_an_error_without_a_reason_of_the_system_keeps_its_text() -> None:
    with (
        pytest.raises(StorageError, match="parsing: odd"),
        map_errors({ValueError: StorageError}, "parsing"),
    ):
        raise ValueError("odd")


def test_errors_that_are_not_in_the_table_pass_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), map_errors({OSError: StorageError}, "dividing"):
        _ = 1 // 0
    with pytest.raises(NoSpace), map_errors({OSError: StorageError}, "writing"):
        raise NoSpace("full")
