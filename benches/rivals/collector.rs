//! An exporter as most are written: its collector makes every family anew for each scrape, and the crate `prometheus`
//! gathers and encodes them.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, Registry, TextEncoder};

use super::http;
use super::model::{Family, Kind, Labels, Sample, Value};

/// That of the exporter, so that the level makes no difference.
pub(crate) const LEVEL: Compression = Compression::new(2);

pub(crate) fn serve(file: &Path, listen: SocketAddr) -> anyhow::Result<()> {
    let registry = Registry::new();
    registry.register(Box::new(Modelled::new(Family::parse(&fs::read_to_string(file)?)?)))?;
    http::serve(listen, move |stream, gzip| {
        let body = body(&registry, gzip).map_err(io::Error::other)?;
        stream.write_all(http::head(body.len(), gzip).as_bytes())?;
        stream.write_all(&body)
    })
}

fn body(registry: &Registry, gzip: bool) -> anyhow::Result<Vec<u8>> {
    let families = registry.gather();
    if !gzip {
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        return Ok(text);
    }
    let mut compressed = GzEncoder::new(Vec::new(), LEVEL);
    TextEncoder::new().encode(&families, &mut compressed)?;
    Ok(compressed.finish()?)
}

struct Modelled {
    families: Vec<Family>,
    description: Desc,
}

impl Modelled {
    fn new(families: Vec<Family>) -> Self {
        let description = Desc::new("modelled".to_owned(), "modelled".to_owned(), Vec::new(), HashMap::new());
        Self { families, description: description.expect("a constant name") }
    }
}

impl Collector for Modelled {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.description]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.families.iter().map(family).collect()
    }
}

fn family(family: &Family) -> MetricFamily {
    let mut made = MetricFamily::default();
    made.set_name(family.name.clone());
    made.set_help(family.help.clone());
    made.set_field_type(match family.kind {
        Kind::Gauge => MetricType::GAUGE,
        Kind::Counter => MetricType::COUNTER,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    made.set_metric(family.samples.iter().map(|sample| metric(family.kind, sample)).collect());
    made
}

fn metric(kind: Kind, sample: &Sample) -> Metric {
    let mut metric = Metric::from_label(labels(&sample.labels));
    match (kind, &sample.value) {
        (Kind::Counter, Value::Single(value)) => {
            let mut counter = Counter::default();
            counter.set_value(*value);
            metric.set_counter(counter);
        }
        (_, Value::Single(value)) => {
            let mut gauge = Gauge::default();
            gauge.set_value(*value);
            metric.set_gauge(gauge);
        }
        (_, Value::Histogram { buckets, sum, count }) => {
            let mut histogram = Histogram::default();
            histogram.set_sample_sum(*sum);
            histogram.set_sample_count(*count);
            histogram.set_bucket(buckets.iter().map(|(bound, count)| bucket(*bound, *count)).collect());
            metric.set_histogram(histogram);
        }
    }
    metric
}

fn labels(labels: &Labels) -> Vec<LabelPair> {
    labels.iter().map(|(name, value)| pair(name, value)).collect()
}

pub(crate) fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn bucket(bound: f64, count: u64) -> Bucket {
    let mut bucket = Bucket::default();
    bucket.set_upper_bound(bound);
    bucket.set_cumulative_count(count);
    bucket
}
