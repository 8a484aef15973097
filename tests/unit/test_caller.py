"""Callers: the way back to whoever asked."""

from __future__ import annotations

from s4zmq.caller import Letter
from s4zmq.errors import KeyNotFound
from s4zmq.wire import Failure, Ok, Output

from .helpers import SESSION, Letters


def test_an_answer_goes_to_the_connection_and_request_that_asked() -> None:
    letters = Letters()
    caller = letters.caller(id=7)
    caller.answer(Output(1), b"bytes")
    caller.answer(Ok())
    assert letters == [
        Letter(b"identity", 7, SESSION, Output(1), b"bytes"),
        Letter(b"identity", 7, SESSION, Ok(), b""),
    ]


def test_an_error_goes_back_as_the_final_reply() -> None:
    letters = Letters()
    letters.caller(id=7).fail(KeyNotFound("no such key", key="s4://b/k"))
    assert [letter.message for letter in letters] == [
        Failure("E_NOT_FOUND", "no such key", {"key": "s4://b/k"})
    ]
