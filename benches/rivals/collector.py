"""An exporter as it is written with Python's prometheus_client: a custom collector makes every family anew.

    collector.py FILE PORT

The families are those of FILE, a text exposition, read once.
"""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families


class Modelled:
    def __init__(self, text: str) -> None:
        self.families = [
            (family.name, family.documentation, family.type, [(s.name, s.labels, s.value) for s in family.samples])
            for family in text_string_to_metric_families(text)
        ]

    def describe(self) -> list[Metric]:
        """Nothing to compare names with: the registry would gather once more to learn them."""
        return []

    def collect(self) -> Iterator[Metric]:
        for name, help_text, kind, samples in self.families:
            family = Metric(name, help_text, kind)
            for sample, labels, value in samples:
                family.add_sample(sample, dict(labels), value)
            yield family


def main() -> None:
    registry = CollectorRegistry()
    registry.register(Modelled(Path(sys.argv[1]).read_text(encoding="utf-8")))
    start_http_server(int(sys.argv[2]), "127.0.0.1", registry)
    threading.Event().wait()


if __name__ == "__main__":
    main()
