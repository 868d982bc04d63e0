//! Data points of OpenTelemetry: the samples of the text as messages of OTLP, in batches of bounded size.
//!
//! A metric has the full name of its family, unit and `_total` included: receivers that make names of Prometheus add
//! what a name lacks and leave it alone where it lacks nothing, and the others keep it as it is. Both store the names
//! of `/metrics`.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, metric,
    number_data_point,
};
use prometheus::proto;
use prost::Message as _;

use super::OfPairs;
use super::catalogue::{Family, Kind};
use super::text::{self, Value};
use crate::model::Timestamp;

/// A batch is sent when it is larger than this. Receivers of gRPC refuse messages of more than 4 MiB by default, and
/// what is on its way is held in memory.
const BATCH_BYTES: usize = 1024 * 1024;

/// What a point costs beyond its attributes: times, value and framing.
const POINT_BYTES: usize = 40;

/// Attributes of one entity, made once and copied into each of its points.
#[derive(Clone, Debug, Default)]
pub struct Attributes(Vec<KeyValue>);

impl Attributes {
    pub(super) fn as_slice(&self) -> &[KeyValue] {
        &self.0
    }
}

impl OfPairs for Attributes {
    fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(attribute).collect())
    }
}

/// A label as an attribute.
fn attribute((name, value): &(&str, &str)) -> KeyValue {
    let value = Some(any_value::Value::StringValue(text::told(name, value)));
    KeyValue { key: (*name).to_owned(), value: Some(AnyValue { value }), ..KeyValue::default() }
}

/// When points were true, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The start of this process.
    pub start: u64,
    pub now: u64,
}

/// Nanoseconds since 1970.
pub fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.seconds()).unwrap_or_default() * 1_000_000_000
}

/// Some metrics that travel together; counters are cumulative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub metrics: Vec<Metric>,
    pub points: u64,
}

/// Takes samples, family by family, and hands on batches of them.
pub struct Points {
    times: Times,
    /// The time at which the counters of the present entity were 0.
    start: u64,
    family: Option<&'static Family>,
    numbers: Vec<NumberDataPoint>,
    histograms: Vec<HistogramDataPoint>,
    batch: Batch,
    bytes: usize,
    hand_on: Box<dyn FnMut(Batch)>,
}

impl Points {
    pub fn new(times: Times, hand_on: impl FnMut(Batch) + 'static) -> Self {
        Self {
            times,
            start: times.start,
            family: None,
            numbers: Vec::new(),
            histograms: Vec::new(),
            batch: Batch::default(),
            bytes: 0,
            hand_on: Box::new(hand_on),
        }
    }

    /// What follows is of this family.
    pub(super) fn family(&mut self, family: &'static Family) {
        self.end_family();
        self.family = Some(family);
        self.start = self.times.start;
    }

    /// Sets the start of the counters that follow: this moment, or the start of this process.
    pub(super) fn counted_since(&mut self, began: Option<Timestamp>) {
        // The clock of a simulated tenant may be ahead of the machine's: a counter of the future has no start.
        let began = began.map(nanoseconds).filter(|began| *began <= self.times.now);
        self.start = began.unwrap_or_default().max(self.times.start);
    }

    pub(super) fn sample(&mut self, entity: &[KeyValue], extra: &[(&str, &str)], value: Value) {
        let mut attributes = Vec::with_capacity(entity.len() + extra.len());
        attributes.extend_from_slice(entity);
        attributes.extend(extra.iter().map(attribute));
        let bytes = size(&attributes);
        self.numbers.push(NumberDataPoint {
            attributes,
            start_time_unix_nano: self.start,
            time_unix_nano: self.times.now,
            value: Some(number_data_point::Value::AsDouble(value.as_f64())),
            ..NumberDataPoint::default()
        });
        self.took(bytes);
    }

    /// The series of a family as a registry of crate `prometheus` gathers them; `began` knows when those of a tenant began.
    pub(super) fn gathered(
        &mut self,
        family: &proto::MetricFamily,
        began: &dyn Fn(&str) -> Option<Timestamp>,
    ) {
        let kind = text::kind_of(family.get_field_type());
        for metric in family.get_metric() {
            let pairs: Vec<_> = metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
            let tenant = pairs.iter().find(|(name, _)| *name == "tenant");
            self.counted_since(tenant.and_then(|(_, tenant)| began(tenant)));
            match kind {
                Some(Kind::Gauge) => self.sample(&[], &pairs, metric.get_gauge().get_value().into()),
                Some(Kind::Counter) => self.sample(&[], &pairs, metric.get_counter().get_value().into()),
                Some(Kind::Histogram) => self.histogram(&pairs, metric.get_histogram()),
                None => {}
            }
        }
    }

    fn histogram(&mut self, pairs: &[(&str, &str)], histogram: &proto::Histogram) {
        let attributes = Attributes::of(pairs).0;
        let bytes = size(&attributes);
        let steps = histogram.get_bucket().iter().filter(|step| step.upper_bound().is_finite());
        let (bounds, mut below): (Vec<f64>, Vec<u64>) =
            steps.map(|step| (step.upper_bound(), step.cumulative_count())).unzip();
        below.push(histogram.get_sample_count());
        let before = std::iter::once(0).chain(below.iter().copied());
        self.histograms.push(HistogramDataPoint {
            attributes,
            start_time_unix_nano: self.times.start,
            time_unix_nano: self.times.now,
            count: histogram.get_sample_count(),
            sum: Some(histogram.get_sample_sum()),
            // A count and its sum are read one after another, while others count on.
            bucket_counts: below
                .iter()
                .zip(before)
                .map(|(upto, before)| upto.saturating_sub(before))
                .collect(),
            explicit_bounds: bounds,
            ..HistogramDataPoint::default()
        });
        self.took(bytes);
    }

    fn took(&mut self, bytes: usize) {
        self.batch.points += 1;
        self.bytes += bytes;
        if self.bytes >= BATCH_BYTES {
            self.end_batch();
        }
    }

    fn end_family(&mut self) {
        let (numbers, histograms) = (std::mem::take(&mut self.numbers), std::mem::take(&mut self.histograms));
        let Some(family) = self.family.filter(|_| !numbers.is_empty() || !histograms.is_empty()) else {
            return;
        };
        self.bytes += family.name.len() + family.help.len();
        let aggregation_temporality = AggregationTemporality::Cumulative.into();
        let data = match family.kind {
            Kind::Gauge => metric::Data::Gauge(Gauge { data_points: numbers }),
            Kind::Counter => {
                metric::Data::Sum(Sum { data_points: numbers, aggregation_temporality, is_monotonic: true })
            }
            Kind::Histogram => {
                metric::Data::Histogram(Histogram { data_points: histograms, aggregation_temporality })
            }
        };
        self.batch.metrics.push(Metric {
            name: family.name.to_owned(),
            description: family.help.to_owned(),
            unit: family.unit.map_or("", unit).to_owned(),
            data: Some(data),
            ..Metric::default()
        });
    }

    fn end_batch(&mut self) {
        self.end_family();
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.points > 0 {
            (self.hand_on)(batch);
        }
    }

    /// Hands on what is left.
    pub fn finish(mut self) {
        self.end_batch();
    }
}

/// The unit as OpenTelemetry spells it. What stands in braces is for people: receivers append nothing for it.
fn unit(of_name: &str) -> &str {
    match of_name {
        "seconds" => "s",
        "bytes" => "By",
        _ => "{degree}",
    }
}

fn size(attributes: &[KeyValue]) -> usize {
    // Each has a tag and a length before it.
    POINT_BYTES + attributes.iter().map(|attribute| attribute.encoded_len() + 2).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, Registry};

    use super::*;

    const TIMES: Times = Times { start: 1, now: 2 };
    static GAUGE: Family = Family::example("t_seconds", Kind::Gauge, &["a"], "A gauge.");
    static COUNTER: Family = Family::example("t_total", Kind::Counter, &[], "A counter.");
    static HISTOGRAM: Family = Family::example("h", Kind::Histogram, &[], "A histogram.");

    fn batches(write: impl FnOnce(&mut Points)) -> Vec<Batch> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut points = Points::new(TIMES, move |batch| sender.send(batch).expect("the receiver is there"));
        write(&mut points);
        points.finish();
        receiver.iter().collect()
    }

    #[test]
    fn nothing_makes_no_batch() {
        assert_eq!(batches(|points| points.family(&GAUGE)), []);
    }

    #[test]
    fn a_family_is_a_metric_and_a_sample_a_point() {
        let made = batches(|points| {
            points.family(&GAUGE);
            points.sample(&[], &[("a", "b\0")], Value::Signed(-3));
            points.family(&COUNTER);
            points.sample(&[], &[], Value::Unsigned(7));
        });
        let [Batch { metrics, points: 2 }] = made.as_slice() else { panic!("{made:?}") };
        let [gauge, counter] = metrics.as_slice() else { panic!("{metrics:?}") };
        assert_eq!((gauge.name.as_str(), gauge.unit.as_str()), ("t_seconds", "s"));
        let Some(metric::Data::Gauge(data)) = &gauge.data else { panic!("{gauge:?}") };
        let point = &data.data_points[0];
        assert_eq!(point.value, Some(number_data_point::Value::AsDouble(-3.0)));
        assert_eq!(point.attributes, [attribute(&("a", "b\u{fffd}"))]);
        let Some(metric::Data::Sum(sum)) = &counter.data else { panic!("{counter:?}") };
        assert!(sum.is_monotonic && sum.aggregation_temporality() == AggregationTemporality::Cumulative);
        assert_eq!((counter.name.as_str(), counter.unit.as_str()), ("t_total", ""));
    }

    #[test]
    fn a_counter_starts_when_it_was_0() {
        let times = Times { start: 10_000_000_000, now: 20_000_000_000 };
        let cases = [(None, 10), (Some(5), 10), (Some(15), 15), (Some(20), 20), (Some(21), 10)];
        for (began, expected) in cases {
            let mut points = Points::new(times, |_| {});
            points.family(&COUNTER);
            points.counted_since(began.map(Timestamp::from_seconds));
            points.sample(&[], &[], Value::Unsigned(7));
            assert_eq!(points.numbers[0].start_time_unix_nano, expected * 1_000_000_000, "{began:?}");
            points.family(&COUNTER);
            points.sample(&[], &[], Value::Unsigned(7));
            assert_eq!(
                points.numbers[0].start_time_unix_nano, times.start,
                "the next family knows nothing of it"
            );
        }
    }

    #[test]
    fn the_counters_of_a_tenant_start_with_it() {
        let registry = Registry::new();
        let counters = prometheus::IntCounterVec::new(prometheus::Opts::new("t", "t"), &["tenant"]).unwrap();
        registry.register(Box::new(counters.clone())).unwrap();
        counters.with_label_values(&["contoso"]).inc();
        counters.with_label_values(&["fabrikam"]).inc();
        let mut points = Points::new(Times { start: 1, now: 9_000_000_000 }, |_| {});
        points.family(&COUNTER);
        let began = |tenant: &str| (tenant == "contoso").then_some(Timestamp::from_seconds(8));
        points.gathered(&registry.gather()[0], &began);
        let starts: Vec<_> = points.numbers.iter().map(|point| point.start_time_unix_nano).collect();
        assert_eq!(starts, [8_000_000_000, 1]);
    }

    #[test]
    fn batches_are_bounded_and_lose_nothing() {
        let made = batches(|points| {
            points.family(&GAUGE);
            for n in 0..50_000 {
                points.sample(&[], &[("a", &format!("room-{n}"))], Value::Unsigned(n));
            }
        });
        assert!(made.len() > 1);
        assert_eq!(made.iter().map(|batch| batch.points).sum::<u64>(), 50_000);
        for batch in &made {
            let bytes: usize = batch.metrics.iter().map(Metric::encoded_len).sum();
            assert!(bytes < BATCH_BYTES + 64 * 1024, "{bytes}");
        }
    }

    #[test]
    fn a_histogram_keeps_its_buckets() {
        let registry = Registry::new();
        let opts = HistogramOpts::new("h", "h").buckets(vec![0.5, 1.0]);
        let histogram = prometheus::Histogram::with_opts(opts).unwrap();
        registry.register(Box::new(histogram.clone())).unwrap();
        for value in [0.25, 0.75, 0.75, 9.0] {
            histogram.observe(value);
        }
        let made = batches(|points| {
            points.family(&HISTOGRAM);
            points.gathered(&registry.gather()[0], &|_| None);
        });
        let Some(metric::Data::Histogram(data)) = &made[0].metrics[0].data else { panic!("{made:?}") };
        let point = &data.data_points[0];
        assert_eq!((point.count, point.sum), (4, Some(10.75)));
        assert_eq!((&*point.bucket_counts, &*point.explicit_bounds), (&[1, 2, 1][..], &[0.5, 1.0][..]));
    }

    #[test]
    fn every_unit_of_the_catalogue_has_its_spelling() {
        for family in super::super::catalogue::FAMILIES {
            let known = matches!(family.unit, None | Some("seconds" | "bytes" | "degrees"));
            assert!(known, "{}: say in `unit` how OpenTelemetry spells it", family.name);
        }
    }
}
