"""What the proofs share: children that are gone at the end, patience, HTTP."""

import http.client
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# What takes seconds; a busy build machine gets the rest.
PATIENCE_SECONDS = 60.0

# For the ports of one lane; four lanes have room.
LANE_PORTS = 3_000


class Failure(Exception):
    """The proof failed; the message says why."""


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child that is gone when the block ends; its log is shown if the block fails."""
    with log.open("wb") as output:
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent, env=clean_environment()
            )
        except OSError as error:
            raise Failure(f"cannot start {command[0]}: {error}") from error
    try:
        yield child
    except Failure:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:]
        print(f"--- the end of {log.name}", *tail, "---", sep="\n", file=sys.stderr)
        raise
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def clean_environment() -> dict[str, str]:
    """Nobody's tenant and no proxy may reach the children."""
    return {k: v for k, v in os.environ.items() if not k.startswith("AZURE_") and not k.lower().endswith("_proxy")}


def free_ports(count: int) -> list[int]:
    """Below those that the system gives to outgoing connections, which would take one before its server starts, and apart
    from those of other lanes of `side_by_side`, whose servers may not have started yet."""
    ports: list[int] = []
    first = 20_000 + LANE_PORTS * int(os.environ.get("LANE", "0"))
    for port in random.sample(range(first, first + LANE_PORTS), 1_000):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue  # Somebody listens there.
        ports.append(port)
        if len(ports) == count:
            return ports
    raise Failure("no free ports")


def wait(
    what: str,
    child: subprocess.Popen[bytes] | None,
    done: Callable[[], bool],
    patience: float = PATIENCE_SECONDS,
) -> None:
    deadline = time.monotonic() + patience
    while True:
        if child is not None and child.poll() is not None:
            raise Failure(f"ended with exit code {child.returncode} while waiting for {what}")
        try:
            if done():
                return
        except (OSError, http.client.HTTPException):
            pass  # Not listening yet.
        if time.monotonic() > deadline:
            raise Failure(f"waited {patience:.0f} s in vain for {what}")
        time.sleep(0.1)


def request(
    method: str, port: int, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {"Accept-Encoding": "identity", **(headers or {})})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, http.client.HTTPMessage, bytes]:
    return request("GET", port, path, headers=headers)
