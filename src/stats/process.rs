//! The `process_*` metrics that every exporter has, read from `/proc`. Elsewhere than on Linux they are absent.

use std::collections::HashMap;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// Reads `/proc/self` when it is gathered.
pub(super) struct Process {
    descriptions: Vec<Desc>,
}

/// Linux reports CPU times in hundredths of a second on every architecture (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

impl Process {
    pub(super) fn new() -> Self {
        let description = Desc::new("process".to_owned(), "process".to_owned(), Vec::new(), HashMap::new());
        Self { descriptions: vec![description.expect("a constant name")] }
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        readings().into_iter().filter_map(|(name, value)| Some(family(name, value?))).collect()
    }
}

fn readings() -> [(&'static str, Option<f64>); 7] {
    let stat = read("/proc/self/stat").unwrap_or_default();
    // The command name may hold spaces and parentheses; the fields start behind its last parenthesis, at number 3.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect());
    let field = |number: usize| fields.get(number.checked_sub(3)?)?.parse::<f64>().ok();
    let status = read("/proc/self/status").unwrap_or_default();
    let limits = read("/proc/self/limits").unwrap_or_default();
    let kilobytes = |key| number_after(&status, key).map(|kb| kb * 1024.0);
    let boot = read("/proc/stat").and_then(|stat| number_after(&stat, "btime"));
    [
        (
            "process_cpu_seconds_total",
            field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS_PER_SECOND),
        ),
        ("process_open_fds", std::fs::read_dir("/proc/self/fd").ok().map(|open| count(open.count()))),
        ("process_max_fds", number_after(&limits, "Max open files")),
        ("process_virtual_memory_bytes", kilobytes("VmSize:")),
        ("process_resident_memory_bytes", kilobytes("VmRSS:")),
        (
            "process_start_time_seconds",
            boot.zip(field(22)).map(|(boot, ticks)| boot + ticks / TICKS_PER_SECOND),
        ),
        ("process_threads", number_after(&status, "Threads:")),
    ]
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[expect(clippy::cast_precision_loss, reason = "a process has fewer descriptors than an f64 counts exactly")]
fn count(number: usize) -> f64 {
    number as f64
}

/// The first number behind `key` at the start of a line.
fn number_after(text: &str, key: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn family(name: &str, value: f64) -> MetricFamily {
    let mut metric = Metric::from_label(Vec::<LabelPair>::new());
    let mut family = MetricFamily::default();
    if name.ends_with("_total") {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
        family.set_field_type(MetricType::COUNTER);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
        family.set_field_type(MetricType::GAUGE);
    }
    family.set_name(name.to_owned());
    family.set_help(name.to_owned());
    family.set_metric(vec![metric]);
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_a_start() {
        for (name, value) in readings() {
            assert!(value.is_some_and(|value| value >= 0.0), "{name}: {value:?}");
        }
    }

    #[test]
    fn numbers_are_found_behind_their_key() {
        assert_eq!(number_after("Name:\tx\nThreads:\t12\n", "Threads:"), Some(12.0));
        assert_eq!(
            number_after("Max open files            1024      524288 files", "Max open files"),
            Some(1024.0)
        );
        assert_eq!(number_after("Max open files            unlimited files", "Max open files"), None);
        assert_eq!(number_after("", "Threads:"), None);
    }
}
