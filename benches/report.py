"""What the benchmarks share: the page of results, the machine, the processor time of a server."""

import functools
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "benchmarks.md"
TICKS = os.sysconf("SC_CLK_TCK")

TITLE = """# Benchmarks

What the exporter costs, beside what else could be used in its place, measured in one run on one machine. The numbers are
those of the machine below; the ratios are what counts.
"""


def write_section(name: str, text: str) -> None:
    """Puts the text between the markers of a section, which is added where the page has none yet."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else TITLE
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if begin not in page:
        page += f"\n{begin}\n{end}\n"
    before, _, rest = page.partition(begin)
    PAGE.write_text(f"{before}{begin}\n{text.strip()}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def write_machine() -> None:
    """Before every other section."""
    rows = {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"Linux {platform.release()}, {distribution()}",
        "Rust": output(["rustc", "--version"]),
        "Python": platform.python_version(),
    }
    write_section("machine", table(["", ""], rows.items()))


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def distribution() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    return next((line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), "unknown")


def outputs(command: list[str]) -> list[str]:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def output(command: list[str]) -> str:
    """The first line that a program says of itself, wherever it says it."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return done.stdout.splitlines()[0]


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def figures(value: float) -> str:
    """Three figures, which is more than is known; all of what stands before the point."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio(ours: list[float], theirs: list[float]) -> str:
    """Ratio of medians, and how it differed from round to round."""
    rounds = [our / their for our, their in zip(ours, theirs, strict=False)]
    middle = statistics.median(ours) / statistics.median(theirs)
    return f"{figures(middle)} ({figures(min(rounds))}..{figures(max(rounds))})"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its children and those that it outlived."""
    total = 0.0
    for process in [pid, *descendants(pid)]:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(field) for field in fields[11:15]) / TICKS
    return total


def descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [deeper for child in children for deeper in descendants(child)]


def machine_seconds() -> float:
    """Processor time that anybody took, interrupts included, idle and waiting not."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _waiting, interrupt, soft_interrupt, steal = fields
    return (user + nice + system + interrupt + soft_interrupt + steal) / TICKS


@functools.cache
def target() -> Path:
    told = ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]
    done = subprocess.run(told, cwd=REPOSITORY, check=True, capture_output=True)
    return Path(json.loads(done.stdout)["target_directory"])


def build_rivals() -> str:
    build = ["cargo", "bench", "--locked", "--bench", "rivals", "--no-run", "--message-format", "json"]
    done = subprocess.run(build, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE)
    built = [json.loads(line) for line in done.stdout.splitlines()]
    return next(one["executable"] for one in built if one.get("target", {}).get("name") == "rivals" and one["executable"])
