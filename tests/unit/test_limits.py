"""Limits: what must hold between them, and what the contract promises of them."""

from __future__ import annotations

import ast
from pathlib import Path

from s4zmq import limits


def test_a_batch_and_its_header_fit_into_a_control_message() -> None:
    header = limits.BATCH_MAX_KEYS * (limits.KEY_MAX_BYTES + 64)
    assert limits.BATCH_MAX_BYTES + header < limits.CONTROL_MAX_BYTES
    assert limits.PAGE_KEYS * (limits.KEY_MAX_BYTES + 32) < limits.CONTROL_MAX_BYTES
    assert limits.PARCEL_MAX_FILES * (limits.KEY_MAX_BYTES + 64) < limits.CONTROL_MAX_BYTES


def test_values_and_chunks_fit_into_their_messages() -> None:
    assert limits.INLINE_MAX_BYTES <= limits.BATCH_MAX_BYTES
    assert limits.EVAL_CHUNK_BYTES <= limits.CONTROL_MAX_BYTES
    assert limits.CHUNK_BYTES + 32 <= limits.DATA_MAX_BYTES


def test_the_last_message_of_the_largest_parcel_fits_into_a_data_message() -> None:
    assert limits.PARCEL_MAX_FILES * 16 <= limits.DATA_MAX_BYTES


def test_a_command_fits_into_one_argument_of_a_program() -> None:
    assert limits.COMMAND_MAX_BYTES < 128 << 10


def test_the_limits_of_keys_are_those_of_the_contract() -> None:
    assert (limits.COMPONENT_MAX_BYTES, limits.KEY_MAX_BYTES) == (255, 1024)


def test_the_times_are_within_what_is_promised() -> None:
    assert limits.HEALTH_TIMEOUT_S < 2
    assert limits.SILENCE_LIMIT_S + limits.TICK_S + limits.PING_INTERVAL_S < 10
    assert limits.LEASE_S + 2 * limits.TICK_S < 10
    assert limits.LEASE_INTERVAL_S * 3 < limits.LEASE_S
    assert limits.PING_INTERVAL_S * 3 < limits.SILENCE_LIMIT_S


def test_one_client_never_fills_its_own_queue() -> None:
    assert limits.REQUEST_WINDOW + limits.WINDOW_CHUNKS * 4 + limits.EVAL_WINDOW < limits.CONTROL_HWM


def test_limits_are_constants_and_nothing_else() -> None:
    tree = ast.parse(Path(limits.__file__).read_text())
    assert all(isinstance(node, ast.Assign | ast.Expr) for node in tree.body)
