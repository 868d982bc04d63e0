"""What the benchmarks share: a simulated tenant of exact size, an exporter that reads it, what a process takes, the report."""

import argparse
import json
import math
import os
import re
import signal
import statistics
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection
from pathlib import Path
from subprocess import Popen

import report as page
from report import table  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "proof"))

from harness import Failure, clean_environment, free_ports, get, running, wait  # noqa: E402, F401

TICKS = os.sysconf("SC_CLK_TCK")
# The simulated tenant has a little more than this; what is too much is deleted.
DEVICES_PER_ROOM = 1.75
# Those that the exporter lists unless told otherwise; phones are none of its business.
ROOM_DEVICES = {"teamsRoom", "collaborationBar", "surfaceHub", "teamsPanel", "touchConsole"}
# Of a real tenant, in a steady state.
CHANGED_SHARE, UNHEALTHY_SHARE = 0.01, 0.03
# Longer than from one heartbeat of a device to the next.
BEAT_SECONDS = 600
TENANT_ID, CLIENT_ID = "11111111-2222-4333-8444-555555555555", "22222222-3333-4444-8555-666666666666"
CLIENT_SECRET = "simulated~Secret.Never-Log_This+1"
ALL_SOURCES = ["devices", "device_health", "presence", "places", "calendar", "accounts", "intune", "service_health", "credentials"]


def options(text: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", nargs="?", default=ROOT / "target/release/teams-rooms-exporter", type=Path, help="a release build")
    parser.add_argument("--quick", action="store_true", help="a small try-out that is only printed")
    parser.add_argument("--only", type=int, metavar="SIZE", help="the cases of this size alone; only printed")
    given = parser.parse_args()
    # A plain kill must still take the children along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given.binary = given.binary.resolve()
    return given


class Tenant:
    """A simulated tenant that stands still but for what is changed here, and for heartbeats."""

    def __init__(self, port: int, beats: bool) -> None:
        self.port, self.beats = port, beats
        self.connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self.changes = 0

    def ask(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> bytes:
        try:
            self.connection.request(method, path, body, headers or {})
            response = self.connection.getresponse()
        except ConnectionError:  # It hangs up on whoever has nothing to say for long.
            self.connection.close()
            self.connection.request(method, path, body, headers or {})
            response = self.connection.getresponse()
        content = response.read()
        if response.status >= 400:
            raise Failure(f"the tenant answers {response.status} to {method} {path}")
        return content

    def token(self) -> str:
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        form["scope"] = f"http://127.0.0.1:{self.port}/.default"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self.ask("POST", f"/{TENANT_ID}/oauth2/v2.0/token", urllib.parse.urlencode(form), headers)
        return json.loads(answer)["access_token"]

    def list(self) -> list[dict[str, object]]:
        headers, rows, path = {"Authorization": f"Bearer {self.token()}"}, [], "/beta/teamwork/devices?$top=50"
        while path:
            page = json.loads(self.ask("GET", path, headers=headers))
            rows += page["value"]
            path = page.get("@odata.nextLink", "").removeprefix(f"http://127.0.0.1:{self.port}")
        return rows

    def become(self, size: int) -> None:
        """Has exactly so many devices, all of rooms, and the wanted share of them in bad health."""
        rows = sorted(self.list(), key=lambda row: row["deviceType"] not in ROOM_DEVICES)
        if len(rows) < size or rows[size - 1]["deviceType"] not in ROOM_DEVICES:
            raise Failure(f"the tenant has fewer than {size} devices of rooms")
        for row in rows[size:]:
            self.ask("DELETE", f"/_sim/devices/{row['id']}")
        rows = rows[:size]
        ill = [row["id"] for row in rows if row["healthStatus"] != "healthy"]
        for device in ill[round(size * UNHEALTHY_SHARE) :]:
            self.edit(device, {"healthStatus": "healthy"})
        # The ill ones are read in each cycle anyway.
        self.healthy = sorted({row["id"] for row in rows} - set(ill))

    def change(self, size: int) -> None:
        """Changes the next devices: busy or idle, and when."""
        count = round(size * CHANGED_SHARE)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        for at in range(self.changes, self.changes + count):
            activity = "busy" if at // len(self.healthy) % 2 else "idle"
            self.edit(self.healthy[at % len(self.healthy)], {"activityState": activity, "lastModifiedDateTime": now})
        self.changes += count

    def become_quiet(self) -> None:
        """Goes to the noon of a Saturday, when nobody meets."""
        now = datetime.now(timezone.utc)
        noon = now.replace(hour=12, minute=0, second=0) + timedelta(days=(5 - now.weekday()) % 7 or 7)
        self.ask("POST", f"/_sim/advance?seconds={int((noon - now).total_seconds())}")

    def beat(self) -> None:
        """Lets time pass in which every connected device shows a sign of life."""
        if self.beats:
            self.ask("POST", f"/_sim/advance?seconds={BEAT_SECONDS}")

    def edit(self, device: str, patch: dict[str, str]) -> None:
        self.ask("PATCH", f"/_sim/devices/{device}", json.dumps({"device": patch}))

    def slow_down(self, milliseconds: int) -> None:
        """From now on each answer of Graph takes so long: a wait, which costs the tenant's machine nothing."""
        self.ask("PUT", "/_sim/faults", json.dumps([f"slow={milliseconds}"] if milliseconds else []))


@contextmanager
def tenant(
    binary: Path, folder: Path, size: int, milliseconds: int = 0, profile: str = "real", beats: bool = False
) -> Iterator[Tenant]:
    (port,) = free_ports(1)
    rooms = math.ceil(size / DEVICES_PER_ROOM)
    command = [str(binary), "simulate", f"--rooms={rooms}", "--speed=0", f"--listen-address=127.0.0.1:{port}"]
    command.append(f"--profile={profile}")
    with running(command, folder / "tenant.log") as child:
        wait("the tenant", child, lambda: get(port, "/_sim/faults")[0] == 200)
        world = Tenant(port, beats)
        if beats:
            world.become_quiet()
        world.become(size)
        world.slow_down(milliseconds)
        world.pid = child.pid
        yield world


def configuration(port: int, rate: int, pace: int = 1, sources: list[str] = ALL_SOURCES) -> str:
    """`pace`: by how much the cycle of the devices is faster than the default."""
    root = f"http://127.0.0.1:{port}"
    collectors: dict[str, dict[str, object]] = {name: {"enabled": name in sources} for name in ALL_SOURCES}
    collectors["devices"] |= {"interval": f"{120 // pace}s"}
    collectors["device_health"] |= {"rotation": f"{1800 // pace}s"}
    one = {
        "name": "bench",
        "tenant_id": TENANT_ID,
        "client_id": CLIENT_ID,
        "auth": {"client_secret": CLIENT_SECRET},
        "cloud": {"authority": root, "graph": root},
        "requests_per_second": rate,
        "max_items": 100_000,
        "collectors": collectors,
    }
    return json.dumps({"tenants": [one]})  # JSON is YAML.


class Exporter:
    """A running exporter, looked at from outside."""

    def __init__(self, child: Popen[bytes], port: int) -> None:
        self.child, self.pid, self.port = child, child.pid, port

    def series(self, *families: str) -> dict[str, float]:
        """These families alone, so that looking costs little."""
        query = urllib.parse.urlencode([("name[]", family) for family in families])
        text = get(self.port, f"/metrics?{query}")[2].decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def requests(self) -> dict[str, int]:
        """How many of each operation were answered so far; those in a `$batch` one by one, and the batches."""
        counts: dict[str, int] = {}
        for series, value in self.series("teams_rooms_graph_requests_total").items():
            operation = re.search(r'operation="([^"]*)"', series)[1]
            counts[operation] = counts.get(operation, 0) + round(value)
        return counts

    def of_collector(self, gauge: str, collector: str) -> float:
        family = f"teams_rooms_collector_{gauge}"
        return self.series(family).get(f'{family}{{tenant="bench",collector="{collector}"}}', 0.0)

    def details(self) -> int:
        """How many devices a scrape shows with details."""
        return len(self.series("teams_rooms_device_detail_timestamp_seconds"))

    def wait_for_cycle(self, patience: float) -> None:
        """Until details have been read that were not under way before; the moment is in whole seconds."""
        ended = self.of_collector("last_attempt_timestamp_seconds", "device_health")
        wait("a cycle", self.child, lambda: self.of_collector("last_attempt_timestamp_seconds", "device_health") > ended, patience)


@contextmanager
def exporter(binary: Path, folder: Path, config: str, *arguments: str) -> Iterator[Exporter]:
    (port,) = free_ports(1)
    file = folder / "exporter.yaml"
    file.write_text(config, encoding="utf-8")
    command = [str(binary), "serve", f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}", *arguments]
    with running(command, folder / "exporter.log") as child:
        yield Exporter(child, port)


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int, field: str) -> int:
    """`VmRSS` or `VmHWM`, in bytes."""
    return int(Path(f"/proc/{pid}/status").read_text().partition(f"{field}:")[2].split()[0]) * 1024


def middle(values: list[float], show: Callable[[float], str] = "{:.1f}".format) -> str:
    """The median, and the least and most where there are several."""
    text = show(statistics.median(values))
    return text if len(values) == 1 else f"{text} ({show(min(values))}..{show(max(values))})"


def report(section: str, text: str, quick: bool) -> None:
    """Prints the section, and puts it on the page of results unless this is a try-out."""
    print(text)
    if not quick:
        page.write_machine()
        page.write_section(section, text)
