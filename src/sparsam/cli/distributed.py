"""Run a command as one of several processes: connect them, and report a lost process.

The process that the user starts is a parent that supervises a child process; the child computes. JAX's runtime may
abort the child in a way that Python code cannot catch.
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
HEARTBEAT_SECONDS = 20  # a process silent for longer counts as lost; the others then end within a minute
FAREWELL_SECONDS = 5  # a failed process 0 waits this long, to tell the others which process failed
LAST_LINES = 100  # of a child's messages to keep, which include the last ones of JAX's runtime


@dataclass(frozen=True)
class Processes:
    """The processes of a run, and the number of this one.

    Attributes
    ----------
    coordinator : str or None
        HOST:PORT at which process 0 listens; None if there is only one process.
    count, process_id : int
    """

    coordinator: str | None
    count: int
    process_id: int

    @classmethod
    def of_flags(cls, coordinator: str | None, num_processes: int | None, process_id: int | None) -> Processes:
        """Make the processes from --coordinator, --num-processes and --process-id.

        Raises
        ------
        ValueError
            If one of the options is missing, or they contradict each other.
        """
        if coordinator is None and num_processes is None and process_id is None:
            return cls(None, 1, 0)
        if coordinator is None or num_processes is None or process_id is None:
            raise ValueError("use all of --coordinator, --num-processes and --process-id, or none of them")
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 2**16:
            raise ValueError(f"--coordinator must be HOST:PORT, such as 10.0.0.1:12345, got {coordinator!r}")
        if not (num_processes >= 1 and 0 <= process_id < num_processes):
            raise ValueError(f"--process-id must be from 0 to {max(num_processes, 1) - 1}, got {process_id}")
        return cls(coordinator, num_processes, process_id)

    @property
    def are_several(self) -> bool:
        """Whether there are several processes."""
        return self.coordinator is not None

    @property
    def is_first(self) -> bool:
        """Whether this is process 0, which writes the results."""
        return self.process_id == 0

    def watch(self) -> None:
        """Supervise a child process that does the work, and exit as it exits; in the child, return."""
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
            lost = self.describe_lost("".join(last))
            say(f"Error: {lost}. Start all processes again, with --resume if there is a checkpoint")
        elif code < 0:
            say(f"Error: process {self.process_id} of {self.count} was lost: signal {-code} ended it")
        raise typer.Exit(FAILED if code < 0 else code)

    def describe_lost(self, messages: str) -> str:
        """Describe which process was lost, from the last messages of JAX's runtime, which then ended this one too."""
        silent = re.search(r"tasks are unhealthy[^:\n]*:\s*(\d+(?:[\s,]+\d+)*)", messages)
        if silent is None:  # without process 0, no process knows which ones were lost
            return f"process 0 of {self.count}, at {self.coordinator}, was lost or cannot be reached"
        return f"process {', '.join(re.findall('[0-9]+', silent[1]))} of {self.count} was lost: it does not answer"

    def join(self) -> Any:
        """Connect to the other processes; return the mesh of all their devices, None for a single process."""
        if not self.are_several:
            return None
        import jax

        from sparsam.engine.data.devices import all_devices, sum_of_processes

        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(
            self.coordinator, self.count, self.process_id, heartbeat_timeout_seconds=HEARTBEAT_SECONDS
        )
        mesh = all_devices()
        # Connect now: gloo waits half a minute for the others, and the work that follows may take longer here.
        sum_of_processes(0, mesh)
        return mesh

    @contextmanager
    def together(self) -> Iterator[None]:
        """Report an error with this process's number, and exit without waiting for the others: that may hang."""
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
        """Return this process's part of the rows; every process has all rows."""
        cuts = [len(rows) * k // self.count for k in (self.process_id, self.process_id + 1)]
        return rows[cuts[0] : cuts[1]]
