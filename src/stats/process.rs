//! The `process_*` metrics that every exporter has, read from `/proc`. Elsewhere than on Linux they are absent.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// Reads `/proc/self` when it is gathered.
pub(super) struct Process {
    descriptions: Vec<Desc>,
    fixed: Fixed,
}

/// What stays the same, and is asked once: a scrape waits for what it is told, and for `/proc/stat` the kernel adds up
/// every interrupt.
#[derive(Clone, Copy, Debug)]
struct Fixed {
    started: Option<f64>,
    max_fds: Option<f64>,
    page_bytes: Option<f64>,
}

/// Linux reports CPU times in hundredths of a second on every architecture (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// What is wanted of the files about a process stands in their first page.
const READ_BYTES: usize = 4096;

impl Process {
    pub(super) fn new() -> Self {
        let description = Desc::new("process".to_owned(), "process".to_owned(), Vec::new(), HashMap::new());
        Self { descriptions: vec![description.expect("a constant name")], fixed: Fixed::read() }
    }
}

/// The file descriptors that the process may open; `None` is any number, or elsewhere than on Linux.
pub fn max_descriptors() -> Option<usize> {
    let limits = read("/proc/self/limits")?;
    let rest = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    rest.split_whitespace().next()?.parse().ok()
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        readings(self.fixed).into_iter().filter_map(|(name, value)| Some(family(name, value?))).collect()
    }
}

impl Fixed {
    fn read() -> Self {
        Self { started: started(), max_fds: max_descriptors().map(count), page_bytes: page_bytes() }
    }
}

fn readings(fixed: Fixed) -> [(&'static str, Option<f64>); 7] {
    let stat = read("/proc/self/stat").unwrap_or_default();
    let field = |number| field(&stat, number);
    let cpu = field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS_PER_SECOND);
    [
        ("process_cpu_seconds_total", cpu),
        ("process_open_fds", open_fds()),
        ("process_max_fds", fixed.max_fds),
        ("process_virtual_memory_bytes", field(23)),
        (
            "process_resident_memory_bytes",
            field(24).zip(fixed.page_bytes).map(|(pages, bytes)| pages * bytes),
        ),
        ("process_start_time_seconds", fixed.started),
        ("process_threads", field(20)),
    ]
}

/// Since Linux 6.2 their number is the size of their folder; before, that was 0.
fn open_fds() -> Option<f64> {
    const FOLDER: &str = "/proc/self/fd";
    let told = fs::metadata(FOLDER).ok().and_then(|folder| usize::try_from(folder.len()).ok());
    let listed = || Some(fs::read_dir(FOLDER).ok()?.count());
    told.filter(|told| *told > 0).or_else(listed).map(count)
}

/// Seconds since the epoch.
fn started() -> Option<f64> {
    let boot = number_after(&fs::read_to_string("/proc/stat").ok()?, "btime")?;
    Some(boot + field(&read("/proc/self/stat")?, 22)? / TICKS_PER_SECOND)
}

/// The size of a memory page, from what the kernel told the process at its start: pairs of machine words.
fn page_bytes() -> Option<f64> {
    const WORD: usize = size_of::<usize>();
    const AT_PAGESZ: usize = 6;
    let told = fs::read("/proc/self/auxv").ok()?;
    let words: Vec<usize> = told
        .chunks_exact(WORD)
        .filter_map(|word| Some(usize::from_ne_bytes(word.try_into().ok()?)))
        .collect();
    let pair = words.chunks_exact(2).find(|pair| pair.first() == Some(&AT_PAGESZ))?;
    pair.get(1).map(|&bytes| count(bytes))
}

/// A field of `/proc/self/stat`. The command name may hold spaces and parentheses; the fields start behind its last
/// parenthesis, at number 3.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// The start of a file, as much as one call gives: [`fs::read_to_string`] asks seven times for what is told at once.
fn read(path: &str) -> Option<String> {
    let mut buffer = [0; READ_BYTES];
    let length = File::open(path).ok()?.read(&mut buffer).ok()?;
    String::from_utf8(buffer.get(..length)?.to_vec()).ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "descriptors and the bytes of a page are fewer than an f64 counts exactly"
)]
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
        for (name, value) in readings(Fixed::read()) {
            assert!(value.is_some_and(|value| value >= 0.0), "{name}: {value:?}");
        }
    }

    #[test]
    fn the_memory_in_use_is_that_of_the_status() {
        let told = |name| readings(Fixed::read()).into_iter().find(|(other, _)| *other == name);
        let (_, bytes) = told("process_resident_memory_bytes").unwrap();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let expected = number_after(&status, "VmRSS:").unwrap() * 1024.0;
        // Other tests run meanwhile, and the kernel adds up its processors' parts now and then.
        assert!((0.5..2.0).contains(&(bytes.unwrap() / expected)), "{bytes:?} {expected}");
    }

    #[test]
    fn numbers_are_found_behind_their_key() {
        assert_eq!(number_after("Name:\tx\nThreads:\t12\n", "Threads:"), Some(12.0));
        assert_eq!(number_after("", "Threads:"), None);
    }
}
