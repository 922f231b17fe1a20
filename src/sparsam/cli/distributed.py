"""A command as one of several processes: how they find each other, and what is said when one is lost.

The process that the user starts is a parent, which watches over the one that computes: JAX's runtime may end that in a
way no Python code survives.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer

from sparsam.cli.console import FAILED, message_of, say

__all__ = ["Processes"]

CHILD = "SPARSAM_CHILD"
HEARTBEAT_SECONDS = 20  # after which a process that is silent is lost; the others then end within a minute
FAREWELL_SECONDS = 5  # for which process 0, which knows who is lost, stays to answer the others
LAST_LINES = 100  # of a child's messages, among which its runtime's last words are


@dataclass(frozen=True)
class Processes:
    """Which of the processes of a run this is.

    Attributes
    ----------
    coordinator : str or None
        HOST:PORT at which process 0 listens; None where there is one process alone.
    count, process_id : int
    """

    coordinator: str | None
    count: int
    process_id: int

    @classmethod
    def of_flags(cls, coordinator: str | None, num_processes: int | None, process_id: int | None) -> Processes:
        """Take them from --coordinator, --num-processes and --process-id.

        Raises
        ------
        ValueError
            If one of them is missing, or they do not fit together.
        """
        if coordinator is None and num_processes is None and process_id is None:
            return cls(None, 1, 0)
        if coordinator is None or num_processes is None or process_id is None:
            raise ValueError("--coordinator, --num-processes and --process-id belong together: give all three or none")
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 2**16:
            raise ValueError(f"--coordinator must be HOST:PORT, such as 10.0.0.1:12345, got {coordinator!r}")
        if not (num_processes >= 1 and 0 <= process_id < num_processes):
            raise ValueError(f"--process-id must be from 0 to {max(num_processes, 1) - 1}, got {process_id}")
        return cls(coordinator, num_processes, process_id)

    @property
    def are_several(self) -> bool:
        """Whether there is a coordinator."""
        return self.coordinator is not None

    @property
    def is_first(self) -> bool:
        """Whether it is this one that writes."""
        return self.process_id == 0

    def watch(self) -> None:
        """In the process that the user started: let a child do the work, and end as it ends; in the child return."""
        if not self.are_several or os.environ.get(CHILD):
            return
        child = subprocess.Popen(
            [sys.executable, "-m", "sparsam", *sys.argv[1:]],
            env=os.environ | {CHILD: "1"},
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: child.send_signal(number))
        last = deque[str](maxlen=LAST_LINES)
        for line in child.stderr or ():
            sys.stderr.write(line)
            sys.stderr.flush()
            last.append(line)
        code = child.wait()
        if code == -signal.SIGABRT:
            lost = self.lost_of("".join(last))
            say(f"Error: {lost}. Start all processes again, with --resume where there is a checkpoint")
        elif code < 0:
            say(f"Error: process {self.process_id} of {self.count} was lost: signal {-code} ended it")
        raise typer.Exit(FAILED if code < 0 else code)

    def lost_of(self, messages: str) -> str:
        """Say who was lost, where the runtime has ended this process too: from what it said then."""
        silent = re.search(r"tasks are unhealthy[^:\n]*:\s*(\d+(?:[\s,]+\d+)*)", messages)
        if silent is None:  # nobody is left who would know
            return f"process 0 of {self.count}, at {self.coordinator}, was lost or cannot be reached"
        return f"process {', '.join(re.findall('[0-9]+', silent[1]))} of {self.count} was lost: it does not answer"

    def join(self) -> Any:
        """Meet the other processes; return the mesh of all their devices, None for one process alone."""
        if not self.are_several:
            return None
        import jax

        from sparsam.engine.data.devices import all_devices, sum_of_processes

        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(
            self.coordinator, self.count, self.process_id, heartbeat_timeout_seconds=HEARTBEAT_SECONDS
        )
        mesh = all_devices()
        sum_of_processes(0, mesh)  # gloo gives them half a minute to meet, and what follows may take longer here
        return mesh

    @contextmanager
    def together(self) -> Iterator[None]:
        """Name this process if it fails, and end without the others: waiting for them would never end."""
        try:
            yield
        except (ValueError, TypeError, OSError, RuntimeError, FloatingPointError, MemoryError) as error:
            if not self.are_several:
                raise
            say(f"Error in process {self.process_id} of {self.count}: {message_of(error)}")
            if self.is_first:
                time.sleep(FAREWELL_SECONDS)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(FAILED)

    def share(self, rows: Any) -> Any:
        """Return this process's part of the rows, which all of them have."""
        cuts = [len(rows) * k // self.count for k in (self.process_id, self.process_id + 1)]
        return rows[cuts[0] : cuts[1]]
