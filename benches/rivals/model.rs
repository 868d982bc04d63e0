//! What an exporter holds: the families of an exposition as plain data, read once from its text.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::{Context, bail};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Gauge,
    Counter,
    Histogram,
}

#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) kind: Kind,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) labels: Labels,
    pub(crate) value: Value,
}

/// Names and values are shared: a device has its id once, however many series it has.
pub(crate) type Labels = Vec<(Arc<str>, Arc<str>)>;

#[derive(Debug)]
pub(crate) enum Value {
    Single(f64),
    /// Buckets as (upper bound, cumulative count), without `+Inf`.
    Histogram {
        buckets: Vec<(f64, u64)>,
        sum: f64,
        count: u64,
    },
}

impl Family {
    /// Text as the exporter writes it: each family begins with HELP and TYPE.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<Self>> {
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line).with_context(|| line.to_owned())?;
        }
        Ok(reader.families)
    }
}

#[derive(Default)]
struct Reader {
    families: Vec<Family>,
    known: HashSet<Arc<str>>,
    /// Where in its family the histogram with these labels is.
    histograms: HashMap<Labels, usize>,
}

impl Reader {
    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').context("no text")?;
            let help = unescape(help);
            self.families.push(Family {
                name: name.to_owned(),
                help,
                kind: Kind::Gauge,
                samples: Vec::new(),
            });
            self.histograms.clear();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            self.families.last_mut().context("TYPE without HELP")?.kind = match rest.rsplit_once(' ') {
                Some((_, "gauge")) => Kind::Gauge,
                Some((_, "counter")) => Kind::Counter,
                Some((_, "histogram")) => Kind::Histogram,
                _ => bail!("unknown type"),
            };
        } else if !line.starts_with('#') {
            self.sample(line)?;
        }
        Ok(())
    }

    fn sample(&mut self, line: &str) -> anyhow::Result<()> {
        let (series, value) = line.rsplit_once(' ').context("no value")?;
        let (name, pairs) = series.split_once('{').unwrap_or((series, "}"));
        let labels = self.labels(pairs)?;
        let value: f64 = value.parse()?;
        let family = self.families.last_mut().context("a sample before its family")?;
        if family.kind == Kind::Histogram {
            let part = name.strip_prefix(family.name.as_str()).context("of another family")?;
            return part_of_histogram(family, &mut self.histograms, part, labels, value);
        }
        family.samples.push(Sample { labels, value: Value::Single(value) });
        Ok(())
    }

    fn labels(&mut self, mut pairs: &str) -> anyhow::Result<Labels> {
        let mut labels = Vec::new();
        while pairs != "}" {
            let (name, rest) = pairs.split_once("=\"").context("no label")?;
            let end = closing_quote(rest).context("no end of a label")?;
            let (value, rest) = rest.split_at(end);
            labels.push((self.shared(name), self.shared(&unescape(value))));
            let rest = rest.strip_prefix('"').unwrap_or(rest);
            pairs = rest.strip_prefix(',').unwrap_or(rest);
        }
        labels.shrink_to_fit();
        Ok(labels)
    }

    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        self.known.insert(Arc::clone(&shared));
        shared
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts were whole when they were written"
)]
fn part_of_histogram(
    family: &mut Family,
    histograms: &mut HashMap<Labels, usize>,
    part: &str,
    mut labels: Labels,
    value: f64,
) -> anyhow::Result<()> {
    let bound =
        labels.pop_if(|(name, _)| &**name == "le").map(|(_, bound)| bound.parse::<f64>()).transpose()?;
    let at = *histograms.entry(labels.clone()).or_insert_with(|| {
        family
            .samples
            .push(Sample { labels, value: Value::Histogram { buckets: Vec::new(), sum: 0.0, count: 0 } });
        family.samples.len() - 1
    });
    let sample = family.samples.get_mut(at).map(|sample| &mut sample.value);
    let Some(Value::Histogram { buckets, sum, count }) = sample else { bail!("not of a histogram") };
    match (part, bound) {
        ("_bucket", Some(bound)) if bound.is_finite() => buckets.push((bound, value as u64)),
        ("_bucket", Some(_)) => {}
        ("_sum", None) => *sum = value,
        ("_count", None) => *count = value as u64,
        _ => bail!("not of a histogram"),
    }
    Ok(())
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let was_escaped = escaped;
        escaped = byte == b'\\' && !was_escaped;
        byte == b'"' && !was_escaped
    })
}

fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => plain.push('\n'),
                other => plain.extend(other),
            },
            other => plain.push(other),
        }
    }
    plain
}
