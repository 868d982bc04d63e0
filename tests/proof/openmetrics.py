#!/usr/bin/env python3
"""Holds OpenMetrics files against the strict parser and against this exporter's own rules.

    openmetrics.py FILE...      one line per fault; exit code 1 if there is any
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

# Names that Prometheus, its operators or their relabelling put on a target.
FORBIDDEN_LABELS = {
    "job", "instance", "service", "endpoint", "namespace", "pod",
    "container", "node", "cluster", "region", "zone", "env",
}  # fmt: skip

# Gauges with a label `state` that count things instead of naming the one present state.
NOT_STATE_SETS = {"teams_rooms_license_units"}

Labels = frozenset[tuple[str, str]]


def series(sample: Sample) -> tuple[str, Labels]:
    """What identifies a sample. An empty label is no label."""
    return sample.name, frozenset((k, v) for k, v in sample.labels.items() if v)


def faults(text: str) -> list[str]:
    """Everything that is wrong with one exposition."""
    if not text.endswith("\n# EOF\n"):
        return ["does not end in a line '# EOF'"]
    try:
        families = list(text_string_to_metric_families(text))
    except (ValueError, KeyError, IndexError) as error:
        return [f"not OpenMetrics: {error!r}"]
    if not any(family.samples for family in families):
        return ["holds no sample"]
    found: list[str] = []
    # The parser silently drops a sample that repeats the one before it.
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    parsed = sum(len(family.samples) for family in families)
    if len(lines) != parsed:
        repeated = [line for line, times in Counter(lines).items() if times > 1]
        found.append(f"twice the same series: {len(lines)} sample lines are {parsed} series {repeated[:5]}")
    seen: set[tuple[str, Labels]] = set()
    for family in families:
        for sample in family.samples:
            identity = series(sample)
            if identity in seen:
                found.append(f"twice the same series: {show(*identity)}")
            seen.add(identity)
            if sample.timestamp is not None:
                found.append(f"a timestamp on {show(*identity)}")
            for label in sorted(FORBIDDEN_LABELS & sample.labels.keys()):
                found.append(f"forbidden label {label!r} on {show(*identity)}")
        if family.type == "gauge" and family.name not in NOT_STATE_SETS:
            found += state_set_faults(family)
    return found


def state_set_faults(family: Metric) -> list[str]:
    """All states of the family on every entity, exactly one of them 1 and the others 0."""
    groups: dict[Labels, dict[str, float]] = defaultdict(dict)
    for sample in family.samples:
        if "state" in sample.labels:
            entity = frozenset((k, v) for k, v in sample.labels.items() if k != "state")
            groups[entity][sample.labels["state"]] = sample.value
    all_states = {state for values in groups.values() for state in values}
    found: list[str] = []
    for entity, values in groups.items():
        where = show(family.name, entity)
        if sorted(values.values()) != [0.0] * (len(values) - 1) + [1.0]:
            found.append(f"not exactly one 1 in the state set {where}: {values}")
        if missing := sorted(all_states - values.keys()):
            found.append(f"states missing in the state set {where}: {', '.join(missing)}")
    return found


def show(name: str, labels: Labels) -> str:
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in sorted(labels)) + "}"


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    failed = False
    for path in sys.argv[1:]:
        for fault in faults(Path(path).read_text(encoding="utf-8")):
            print(f"{path}: {fault}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
