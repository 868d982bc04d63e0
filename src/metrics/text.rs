//! The text of metrics: label pairs, sample lines and family headers.
//!
//! A sample line is the same bytes in text 0.0.4 and in OpenMetrics 1.0.0, so that the identity of a series does
//! not depend on what a scraper asks for. Only the headers of families differ.

use std::fmt::Write as _;

use prometheus::proto;

use super::OfPairs;
use super::catalogue::{Family, Kind};
use crate::model::MAX_ID_CHARS;

/// The formats we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0. Its end marker `# EOF` belongs to the whole response, not to this module.
    OpenMetrics,
}

/// Longest label value in characters: names are for people, and scrapers may refuse a whole target for one label
/// above their `label_value_length_limit`.
pub const MAX_VALUE_CHARS: usize = 128;

/// Labels of which no part can be missing: other series, the API and the rules find an entity by them.
const IDS: [&str; 3] = ["room_id", "device_id", "email"];

/// What ends a value that was cut.
const CUT_MARK: &str = "...";

/// The escaped label pairs of one entity, rendered once and copied into each of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(String);

impl Labels {
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        push_pairs(&mut text, pairs);
        Self(text)
    }
}

impl OfPairs for Labels {
    fn of(pairs: &[(&str, &str)]) -> Self {
        Self::new(pairs)
    }
}

/// The value of a sample. Whole floats and integers read alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

impl Value {
    /// Exact up to 2^53, which no count and no time reaches.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus stores every value as an f64")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Signed(value) => value as f64,
            Self::Unsigned(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Unsigned(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Signed(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Unsigned(value.into())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Unsigned(value as u64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

/// A growing piece of exposition text that knows how many series it holds.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    text: String,
    series: u64,
}

impl Lines {
    /// Appends one line; `extra` are the labels that the entity's own `labels` do not carry.
    pub fn sample(&mut self, name: &str, labels: &Labels, extra: &[(&str, &str)], value: impl Into<Value>) {
        let text = &mut self.text;
        text.push_str(name);
        if !labels.0.is_empty() || !extra.is_empty() {
            text.push('{');
            text.push_str(&labels.0);
            if !labels.0.is_empty() && !extra.is_empty() {
                text.push(',');
            }
            push_pairs(text, extra);
            text.push('}');
        }
        text.push(' ');
        push_value(text, value.into());
        text.push('\n');
        self.series += 1;
    }

    /// Appends whole lines of samples, written before.
    pub fn copy(&mut self, lines: &[u8]) {
        self.text.push_str(std::str::from_utf8(lines).expect("it was written by this module"));
        #[expect(clippy::naive_bytecount, reason = "the compiler counts sixteen and more at once")]
        let series = lines.iter().filter(|byte| **byte == b'\n').count();
        self.series += series as u64;
    }

    /// Appends the lines that announce a family.
    pub fn header(&mut self, family: &Family, format: Format) {
        push_header(&mut self.text, family.name, family.kind, family.unit, family.help, format);
    }

    /// Appends whole families as a registry of crate `prometheus` gathers them, sorted by name. The catalogue has
    /// the last word on help and unit; kinds that we never register (summaries, untyped) are left out.
    pub fn gathered<'a>(
        &mut self,
        families: impl IntoIterator<Item = &'a proto::MetricFamily>,
        find: impl Fn(&str) -> Option<&'static Family>,
        format: Format,
    ) {
        let mut families: Vec<_> = families.into_iter().filter(|f| !f.get_metric().is_empty()).collect();
        families.sort_by_key(|family| family.name());
        for family in families {
            let Some(kind) = kind_of(family.get_field_type()) else { continue };
            match find(family.name()) {
                Some(known) => self.header(known, format),
                None => push_header(&mut self.text, family.name(), kind, None, family.help(), format),
            }
            for metric in family.get_metric() {
                self.metric(family.name(), kind, metric);
            }
        }
    }

    fn metric(&mut self, name: &str, kind: Kind, metric: &proto::Metric) {
        let pairs: Vec<_> = metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
        let labels = Labels::new(&pairs);
        match kind {
            Kind::Gauge => self.sample(name, &labels, &[], metric.get_gauge().get_value()),
            Kind::Counter => self.sample(name, &labels, &[], metric.get_counter().get_value()),
            Kind::Histogram => self.histogram(name, &labels, metric.get_histogram()),
        }
    }

    fn histogram(&mut self, name: &str, labels: &Labels, histogram: &proto::Histogram) {
        let bucket = format!("{name}_bucket");
        // `+Inf` is written from the total below, whether or not the registry lists it.
        for step in histogram.get_bucket().iter().filter(|step| step.upper_bound().is_finite()) {
            // `{:?}` keeps the `.0` of a whole bound: OpenMetrics wants it, and a bound spelt differently in the
            // two formats would be two series.
            let bound = format!("{:?}", step.upper_bound());
            self.sample(&bucket, labels, &[("le", &bound)], step.cumulative_count());
        }
        self.sample(&bucket, labels, &[("le", "+Inf")], histogram.get_sample_count());
        self.sample(&format!("{name}_sum"), labels, &[], histogram.get_sample_sum());
        self.sample(&format!("{name}_count"), labels, &[], histogram.get_sample_count());
    }

    pub fn series(&self) -> u64 {
        self.series
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.series = 0;
    }
}

pub fn kind_of(kind: proto::MetricType) -> Option<Kind> {
    match kind {
        proto::MetricType::COUNTER => Some(Kind::Counter),
        proto::MetricType::GAUGE => Some(Kind::Gauge),
        proto::MetricType::HISTOGRAM => Some(Kind::Histogram),
        proto::MetricType::SUMMARY | proto::MetricType::UNTYPED => None,
    }
}

/// State sets and infos are gauges here: text 0.0.4 has no such types (one such line fails the whole scrape), and
/// OpenMetrics would force the label of a state set to bear the metric's name.
fn push_header(text: &mut String, name: &str, kind: Kind, unit: Option<&str>, help: &str, format: Format) {
    let name = match (format, kind) {
        (Format::OpenMetrics, Kind::Counter) => name.strip_suffix("_total").unwrap_or(name),
        _ => name,
    };
    let kind = match kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
        Kind::Histogram => "histogram",
    };
    for piece in ["# HELP ", name, " "] {
        text.push_str(piece);
    }
    push_escaped(text, help, format == Format::OpenMetrics);
    for piece in ["\n# TYPE ", name, " ", kind, "\n"] {
        text.push_str(piece);
    }
    if let (Format::OpenMetrics, Some(unit)) = (format, unit) {
        for piece in ["# UNIT ", name, " ", unit, "\n"] {
            text.push_str(piece);
        }
    }
}

fn push_pairs(text: &mut String, pairs: &[(&str, &str)]) {
    for (position, (name, value)) in pairs.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        let (value, cut) = cut(name, value);
        push_escaped(text, value, true);
        text.push_str(if cut { CUT_MARK } else { "" });
        text.push('"');
    }
}

/// The value of a label as every reader gets it, apart from the escapes of the text.
pub fn told(name: &str, value: &str) -> String {
    let (kept, cut) = cut(name, value);
    let mut told = kept.replace('\0', "\u{fffd}");
    told.push_str(if cut { CUT_MARK } else { "" });
    told
}

/// The part of a value that fits beside [`CUT_MARK`], and whether anything was cut.
fn cut<'v>(name: &str, value: &'v str) -> (&'v str, bool) {
    if value.len() <= MAX_VALUE_CHARS {
        return (value, false);
    }
    let most = if IDS.contains(&name) { MAX_ID_CHARS } else { MAX_VALUE_CHARS };
    if value.chars().nth(most).is_none() {
        return (value, false);
    }
    let end = value.char_indices().nth(most - CUT_MARK.len()).map_or(value.len(), |(at, _)| at);
    (value.get(..end).unwrap_or(value), true)
}

/// Escapes what the formats escape. NUL becomes U+FFFD: Prometheus's lexers take it for the end of the input and
/// would drop the whole scrape. Every other character, control characters included, passes as it is.
fn push_escaped(text: &mut String, value: &str, quotes: bool) {
    let special = |byte: u8| matches!(byte, b'\\' | b'\n' | b'\0') || (quotes && byte == b'"');
    if !value.bytes().any(special) {
        text.push_str(value);
        return;
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str(r"\\"),
            '\n' => text.push_str(r"\n"),
            '"' if quotes => text.push_str("\\\""),
            '\0' => text.push(char::REPLACEMENT_CHARACTER),
            other => text.push(other),
        }
    }
}

/// Above this a float no longer holds every whole number, and the shortest form is the honest one.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

fn push_value(text: &mut String, value: Value) {
    match value {
        // Most samples are a 0 or a 1.
        Value::Unsigned(digit @ 0..=9) => text.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0))),
        Value::Unsigned(whole) => push_display(text, whole),
        Value::Signed(whole) => push_display(text, whole),
        Value::Float(float) => push_float(text, float),
    }
}

fn push_float(text: &mut String, value: f64) {
    if value.is_nan() {
        text.push_str("NaN");
    } else if value.is_infinite() {
        text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if value.fract() == 0.0 && value.abs() < EXACT_INTEGERS {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        push_display(text, value as i64);
    } else {
        // The shortest text that reads back as the same number, with an exponent where that is shorter.
        push_display(text, format_args!("{value:?}"));
    }
}

fn push_display(text: &mut String, value: impl std::fmt::Display) {
    write!(text, "{value}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use prometheus::{CounterVec, Gauge, Histogram, HistogramOpts, IntCounter, Opts, Registry};
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(labels: &[(&str, &str)], extra: &[(&str, &str)], value: impl Into<Value>, expected: &str) {
        let mut lines = Lines::default();
        lines.sample("m", &Labels::new(labels), extra, value);
        assert_eq!(lines.text, format!("{expected}\n"));
        assert_eq!(lines.series(), 1);
    }

    #[test]
    fn a_line_has_the_entity_labels_then_the_extra_ones() {
        check(&[], &[], 1_u64, "m 1");
        check(&[("a", "x")], &[], 1_u64, r#"m{a="x"} 1"#);
        check(&[], &[("b", "y")], 1_u64, r#"m{b="y"} 1"#);
        check(&[("a", "x"), ("b", "")], &[("c", "z")], 1_u64, r#"m{a="x",b="",c="z"} 1"#);
    }

    #[test]
    fn label_values_are_escaped() {
        check(&[("a", r#"C:\x "y""#)], &[], 1_u64, r#"m{a="C:\\x \"y\""} 1"#);
        check(&[], &[("a", "one\ntwo")], 1_u64, r#"m{a="one\ntwo"} 1"#);
        check(&[("a", "\r\t\u{1b}\u{7f}\u{2028}")], &[], 1_u64, "m{a=\"\r\t\u{1b}\u{7f}\u{2028}\"} 1");
        check(&[("a", "x\0y")], &[], 1_u64, "m{a=\"x\u{fffd}y\"} 1");
    }

    #[test]
    fn ids_that_begin_alike_stay_two() {
        let id = |end: &str| "x".repeat(MAX_ID_CHARS - 1) + end;
        for name in IDS {
            assert_eq!(Labels::new(&[(name, &id("a"))]).0, format!("{name}=\"{}\"", id("a")));
            assert_eq!(told(name, &id("b")), id("b"));
            assert_eq!(told(name, &id("ab")).chars().count(), MAX_ID_CHARS, "and everything has a bound");
        }
    }

    #[test]
    fn long_values_are_cut_by_characters() {
        let whole = "é".repeat(MAX_VALUE_CHARS);
        assert_eq!(Labels::new(&[("a", &whole)]).0, format!("a=\"{whole}\""));
        let long = "é".repeat(MAX_VALUE_CHARS + 1);
        let Labels(text) = Labels::new(&[("a", &long)]);
        assert_eq!(text, format!("a=\"{}...\"", "é".repeat(MAX_VALUE_CHARS - 3)));
    }

    #[test]
    fn numbers_are_spelt_as_prometheus_reads_them() {
        check(&[], &[], true, "m 1");
        check(&[], &[], 42_usize, "m 42");
        check(&[], &[], -7_i64, "m -7");
        check(&[], &[], u64::MAX, "m 18446744073709551615");
        check(&[], &[], 1_763_700_000.0, "m 1763700000");
        check(&[], &[], -0.0, "m 0");
        check(&[], &[], 0.1, "m 0.1");
        check(&[], &[], 1e-9, "m 1e-9");
        check(&[], &[], 1e300, "m 1e300");
        check(&[], &[], f64::NAN, "m NaN");
        check(&[], &[], f64::INFINITY, "m +Inf");
        check(&[], &[], f64::NEG_INFINITY, "m -Inf");
    }

    const COUNTER: Family =
        Family::example("t_seconds_total", Kind::Counter, &[], "A \"quoted\" back\\slash\nand line.");

    #[test]
    fn headers_differ_by_format() {
        let mut text = Lines::default();
        text.header(&COUNTER, Format::Text);
        assert_eq!(
            text.text,
            "# HELP t_seconds_total A \"quoted\" back\\\\slash\\nand line.\n# TYPE t_seconds_total counter\n"
        );
        let mut open = Lines::default();
        open.header(&COUNTER, Format::OpenMetrics);
        assert_eq!(
            open.text,
            "# HELP t_seconds A \\\"quoted\\\" back\\\\slash\\nand line.\n# TYPE t_seconds counter\n# UNIT t_seconds \
             seconds\n"
        );
        assert_eq!(open.series(), 0);
    }

    #[test]
    fn registry_families_go_through_the_same_writer() {
        let registry = Registry::new();
        let opts = HistogramOpts::new("z_seconds", "How long.").buckets(vec![0.5, 1.0]);
        let histogram = Histogram::with_opts(opts).unwrap();
        let requests = CounterVec::new(Opts::new("a_total", "Requests."), &["code"]).unwrap();
        let gauge = Gauge::new("m", "Gauge.").unwrap();
        let unused = CounterVec::new(Opts::new("b_total", "Never."), &["code"]).unwrap();
        let known = IntCounter::new("t_seconds_total", "Said elsewhere.").unwrap();
        registry.register(Box::new(histogram.clone())).unwrap();
        registry.register(Box::new(requests.clone())).unwrap();
        registry.register(Box::new(gauge.clone())).unwrap();
        registry.register(Box::new(unused)).unwrap();
        registry.register(Box::new(known)).unwrap();
        histogram.observe(0.75);
        requests.with_label_values(&["2\"00"]).inc_by(3.0);
        gauge.set(0.25);

        let mut lines = Lines::default();
        lines.gathered(
            &registry.gather(),
            |name| Some(&COUNTER).filter(|known| known.name == name),
            Format::OpenMetrics,
        );
        let expected = r#"# HELP a Requests.
# TYPE a counter
a_total{code="2\"00"} 3
# HELP m Gauge.
# TYPE m gauge
m 0.25
# HELP t_seconds A \"quoted\" back\\slash\nand line.
# TYPE t_seconds counter
# UNIT t_seconds seconds
t_seconds_total 0
# HELP z_seconds How long.
# TYPE z_seconds histogram
z_seconds_bucket{le="0.5"} 0
z_seconds_bucket{le="1.0"} 1
z_seconds_bucket{le="+Inf"} 1
z_seconds_sum 0.75
z_seconds_count 1
"#;
        assert_eq!(lines.text, expected);
        assert_eq!(lines.series(), 8);
    }

    type Sample = (String, Vec<(String, String)>, f64);

    /// Reads one line the way the formats are specified: name, braces, pairs, escapes, value.
    fn parse(line: &str) -> Option<Sample> {
        let brace = line.find(['{', ' '])?;
        let (name, mut rest) = (line.get(..brace)?, line.get(brace..)?);
        let mut pairs = Vec::new();
        while let Some(after) = rest.strip_prefix(['{', ',']) {
            let (label, value) = after.split_once("=\"")?;
            let mut unescaped = String::new();
            let mut characters = value.chars();
            loop {
                match characters.next()? {
                    '"' => break,
                    '\n' => return None,
                    '\\' => match characters.next()? {
                        'n' => unescaped.push('\n'),
                        plain @ ('\\' | '"') => unescaped.push(plain),
                        _ => return None,
                    },
                    other => unescaped.push(other),
                }
            }
            pairs.push((label.to_owned(), unescaped));
            rest = characters.as_str();
        }
        let value = rest.strip_prefix('}').unwrap_or(rest).strip_prefix(' ')?.strip_suffix('\n')?;
        Some((name.to_owned(), pairs, value.parse().ok()?))
    }

    proptest! {
        #[test]
        fn any_label_value_survives(value in ".{0,160}|[\\x00-\\x20\"\\\\]{0,40}", extra in "(?s).{0,40}") {
            let mut lines = Lines::default();
            lines.sample("m", &Labels::new(&[("a", &value), ("b", "c")]), &[("d", &extra)], 1_u64);
            let expected = |value: &str| {
                let count = value.chars().count();
                let kept = if count > MAX_VALUE_CHARS { MAX_VALUE_CHARS - 3 } else { count };
                let tail = if count > MAX_VALUE_CHARS { "..." } else { "" };
                value.chars().take(kept).collect::<String>().replace('\0', "\u{fffd}") + tail
            };
            let (name, pairs, number) = parse(&lines.text).expect("parses");
            prop_assert_eq!(name, "m");
            prop_assert_eq!(number.to_bits(), 1.0_f64.to_bits());
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            prop_assert_eq!(pairs, vec![("a", expected(&value)), ("b", "c".to_owned()), ("d", expected(&extra))]);
        }

        #[test]
        fn any_float_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let mut lines = Lines::default();
            lines.sample("m", &Labels::default(), &[], value);
            let (_, _, read) = parse(&lines.text).expect("parses");
            // Adding zero makes -0 and 0 one.
            let same = (read + 0.0).to_bits() == (value + 0.0).to_bits();
            prop_assert!(same || (read.is_nan() && value.is_nan()));
        }
    }
}
