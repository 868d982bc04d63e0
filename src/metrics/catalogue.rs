//! The metric catalogue: the only source of a metric's name, help, unit, kind and labels.

/// What a family's samples are, as Prometheus types them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    /// The name ends in `_total`; OpenMetrics leaves that suffix out of the header.
    Counter,
    Histogram,
}

/// One metric family.
#[derive(Debug)]
pub struct Family {
    /// The full sample name, with `_total` for counters; of a histogram without `_bucket`.
    pub name: &'static str,
    pub kind: Kind,
    /// The unit that ends the name, without `_total`: `seconds`, `bytes`, ...
    pub unit: Option<&'static str>,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}
