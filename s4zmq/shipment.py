"""All outputs of one task of a map-to-n on their way to their owners, and the barrier before they show.

Small outputs of one owner travel inside their offer, in one round trip; large ones as chunks with
credit, where small files share a chunk.

    task's thread              the shuffle's thread          peer
    send(parcel) ------------> OFFER ----------------------> staged, hidden
                               CHUNK ... LAST =============>
    commit(): barrier <------- STAGED <---------------------
              local commit
              ---------------> COMMIT to every peer -------> visible, in doubt
              <--------------- OK from all
              note: done
              ---------------> SETTLE ---------------------> forgotten

The task is done when its sender has noted it, and not before. A peer that hears no more asks later
(`fates`), and then undoes what is not done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from . import points, wire
from .checksum import digest_of
from .codec import Body
from .errors import S4Error
from .fates import Fates
from .keys import Key
from .limits import PARCEL_INLINE_BYTES
from .shell import Switch
from .shuffle import Errand, Shuffle
from .staging import Group, Staging
from .streams import FilesSource

log = logging.getLogger(__name__)

_ABORT_LIMIT_S = 3.0
"""How long a task waits for its abort, which goes on without it."""

_PARCELS_A_TASK = 8
"""Parcels of one task that wait or are in flight; its thread pauses beyond that."""


class Output(NamedTuple):
    """One file that a command made."""

    key: Key
    path: str
    size: int


class Dock(NamedTuple):
    """What a node sends shipments with."""

    shuffle: Shuffle
    staging: Staging
    fates: Fates


class Shipment:
    """Used by the task's thread. Ends in `commit`, or in `abort` when that or `send` has raised."""

    def __init__(self, dock: Dock, group: Group, cancel: Switch) -> None:
        self._dock = dock
        self._node = dock.shuffle.node
        self._group = group
        self._cancel = cancel
        self._errand = Errand(dock.shuffle, cancel)
        self._parcels: dict[str, int] = {}
        """Parcels sent so far, by owner."""
        self._outputs: dict[str, int] = {}
        dock.fates.begin(group.task)

    def send(self, owner: str, outputs: Sequence[Output]) -> None:
        """Stage a parcel on its owner; returns before it is there. Raises the task's first error.

        The files must stand until `commit` or `abort` has returned.
        """
        number = self._parcels.get(owner, 0)
        self._parcels[owner] = number + 1
        self._outputs[owner] = self._outputs.get(owner, 0) + len(outputs)
        if owner == self._node:
            self._dock.staging.stage_local(self._group, number, outputs)
        else:
            self._errand.wait(_PARCELS_A_TASK - 1)
            self._errand.post(owner, *self._offer(number, outputs))

    def _offer(self, number: int, outputs: Sequence[Output]) -> tuple[Any, Body, FilesSource | None]:
        task, _, origin = self._group
        entries = [(str(output.key), output.size) for output in outputs]
        if sum(output.size for output in outputs) > PARCEL_INLINE_BYTES:
            source = FilesSource([o.path for o in outputs], [o.size for o in outputs])
            return wire.Offer(task, number, entries, [], False, origin), b"", source
        values = []
        for output in outputs:
            with open(output.path, "rb", buffering=0) as file:
                values.append(file.read(output.size))
        digests = [digest_of(value) for value in values]
        return wire.Offer(task, number, entries, digests, True, origin), b"".join(values), None

    def commit(self, note: Callable[[Mapping[str, int]], None]) -> None:
        """The barrier, then visible everywhere. `note` gets the number of outputs on each node, and
        decides: once it has returned the task is done. Raises where any node, or `note`, refuses."""
        points.reach("shipment.sent")
        self._errand.wait()
        points.reach("shipment.staged")
        task = self._group.task
        for owner, count in self._parcels.items():
            if owner == self._node:
                self._dock.staging.commit(task, count, self._node)
        points.reach("shipment.committed-here")
        for owner, count in self._parcels.items():
            if owner != self._node:
                self._errand.post(owner, wire.Commit(task, count, self._node))
        self._errand.wait_for_all()
        points.reach("shipment.committed")
        note(self._outputs)
        points.reach("shipment.done")
        self._settle()

    def _settle(self) -> None:
        """Have all forget a task that is done. Never raises: nothing may undo it any more."""
        task = self._group.task
        self._dock.fates.end(task, done=True)
        try:
            self._dock.staging.settle(task)
        except OSError as exc:
            log.warning("what was staged of a task can not be removed: %s", exc)
        for owner in self._peers:  # nobody waits for the answers
            Errand(self._dock.shuffle, self._cancel).post(owner, wire.Settle(task))

    @property
    def _peers(self) -> list[str]:
        return [owner for owner in self._parcels if owner != self._node]

    def abort(self) -> None:
        """Undo on every node; waits until each has answered or is unreachable, but not for long: what
        was sent shortly before a node fell silent has its whole time still to wait. Never raises."""
        points.reach("shipment.aborting")
        errand = Errand(self._dock.shuffle, self._cancel)
        try:
            for owner in self._peers:
                errand.post(owner, wire.Abort(self._group.task))
            self._dock.staging.abort(self._group.task)
            errand.wait_for_all(_ABORT_LIMIT_S)
        except S4Error as error:
            log.warning("a task could not be undone everywhere: %s", error)
        finally:
            self._dock.fates.end(self._group.task, done=False)
