//! From whole counts to what was added since the push before, where a receiver prefers that.
//!
//! What was not taken stays owed: the next push that is taken tells it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, HistogramDataPoint, Metric, NumberDataPoint, metric, number_data_point,
};

use crate::config::otlp::Temporality;

/// What a receiver has been told of each counter.
#[derive(Debug, Default)]
pub(super) struct Deltas {
    /// By a hash of name and attributes: of a million counters two share one with a chance of one to 30 million.
    told: HashMap<u64, Told>,
    hasher: RandomState,
    push: u64,
}

#[derive(Clone, Debug, Default)]
struct Told {
    at: u64,
    sum: f64,
    buckets: Vec<u64>,
    push: u64,
}

/// What has been told once the batch is taken.
#[derive(Debug, Default)]
pub(super) struct Pending(Vec<(u64, Told)>);

impl Deltas {
    /// A new push begins.
    pub(super) fn begin(&mut self) {
        self.push += 1;
    }

    /// Makes deltas of what shall be one.
    pub(super) fn turn(&self, metrics: &mut [Metric], temporality: Temporality) -> Pending {
        let mut pending = Pending::default();
        for Metric { name, data, .. } in metrics {
            match data {
                Some(metric::Data::Sum(sum)) if temporality == Temporality::Delta => {
                    sum.aggregation_temporality = AggregationTemporality::Delta.into();
                    for point in &mut sum.data_points {
                        pending.0.push(self.number(name, point));
                    }
                }
                Some(metric::Data::Histogram(histogram)) if temporality != Temporality::Cumulative => {
                    histogram.aggregation_temporality = AggregationTemporality::Delta.into();
                    for point in &mut histogram.data_points {
                        pending.0.push(self.histogram(name, point));
                    }
                }
                _ => {}
            }
        }
        pending
    }

    fn number(&self, name: &str, point: &mut NumberDataPoint) -> (u64, Told) {
        let key = self.key(name, &point.attributes);
        let Some(number_data_point::Value::AsDouble(sum)) = point.value else {
            return (key, Told::default());
        };
        // What is less than it was began anew, with a room that came back.
        if let Some(told) = self.told.get(&key) {
            point.start_time_unix_nano = told.at;
            let added = if sum < told.sum { sum } else { sum - told.sum };
            point.value = Some(number_data_point::Value::AsDouble(added));
        }
        (key, Told { at: point.time_unix_nano, sum, buckets: Vec::new(), push: self.push })
    }

    fn histogram(&self, name: &str, point: &mut HistogramDataPoint) -> (u64, Told) {
        let key = self.key(name, &point.attributes);
        let (sum, buckets) = (point.sum.unwrap_or_default(), point.bucket_counts.clone());
        if let Some(told) = self.told.get(&key) {
            point.start_time_unix_nano = told.at;
            point.sum = Some(sum - told.sum);
            for (count, told) in point.bucket_counts.iter_mut().zip(&told.buckets) {
                *count = count.saturating_sub(*told);
            }
            point.count = point.bucket_counts.iter().sum();
        }
        (key, Told { at: point.time_unix_nano, sum, buckets, push: self.push })
    }

    /// The batch was taken.
    pub(super) fn told(&mut self, pending: Pending) {
        self.told.extend(pending.0);
    }

    /// The push was taken as a whole: what was not in it is gone.
    pub(super) fn forget_others(&mut self) {
        let push = self.push;
        self.told.retain(|_, told| told.push == push);
        self.told.shrink_to(self.told.len() * 2);
    }

    fn key(&self, name: &str, attributes: &[KeyValue]) -> u64 {
        let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.clone())
        {
            Some(any_value::Value::StringValue(text)) => text,
            _ => String::new(),
        };
        let pairs: Vec<_> = attributes.iter().map(|pair| (pair.key.as_str(), text(pair))).collect();
        self.hasher.hash_one((name, pairs))
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::{Gauge, Histogram, Sum};

    use super::*;

    fn counter(at: u64, value: f64) -> Vec<Metric> {
        let value = Some(number_data_point::Value::AsDouble(value));
        let point =
            NumberDataPoint { start_time_unix_nano: 1, time_unix_nano: at, value, ..Default::default() };
        let sum = Sum { data_points: vec![point], is_monotonic: true, aggregation_temporality: 2 };
        vec![Metric { name: "c".to_owned(), data: Some(metric::Data::Sum(sum)), ..Metric::default() }]
    }

    /// Since when, and how much.
    fn shown(metrics: &[Metric]) -> (u64, f64) {
        let Some(metric::Data::Sum(sum)) = &metrics[0].data else { panic!("{metrics:?}") };
        assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Delta);
        let Some(number_data_point::Value::AsDouble(value)) = sum.data_points[0].value else {
            panic!("{sum:?}")
        };
        (sum.data_points[0].start_time_unix_nano, value)
    }

    #[test]
    fn what_was_not_taken_stays_owed() {
        let mut deltas = Deltas::default();
        let mut turned = |at, value, taken| {
            deltas.begin();
            let mut metrics = counter(at, value);
            let pending = deltas.turn(&mut metrics, Temporality::Delta);
            if taken {
                deltas.told(pending);
                deltas.forget_others();
            }
            shown(&metrics)
        };
        assert_eq!(turned(10, 3.0, true), (1, 3.0));
        assert_eq!(turned(20, 5.0, false), (10, 2.0));
        assert_eq!(turned(30, 9.0, true), (10, 6.0));
        assert_eq!(turned(40, 9.0, true), (30, 0.0));
        assert_eq!(turned(50, 2.0, true), (40, 2.0), "it began anew");
        deltas.begin();
        deltas.forget_others();
        assert!(deltas.told.is_empty(), "a room that is gone is not remembered");
    }

    #[test]
    fn a_preference_for_low_memory_leaves_counters_whole_and_no_preference_everything() {
        let histogram = |count| {
            let point = HistogramDataPoint {
                count,
                sum: Some(2.5),
                bucket_counts: vec![count - 1, 1],
                ..HistogramDataPoint::default()
            };
            let data = Histogram { data_points: vec![point], aggregation_temporality: 2 };
            Metric { data: Some(metric::Data::Histogram(data)), ..Metric::default() }
        };
        let gauge = Metric { data: Some(metric::Data::Gauge(Gauge::default())), ..Metric::default() };
        let all = |count| [counter(10, 3.0), vec![histogram(count), gauge.clone()]].concat();

        let mut deltas = Deltas::default();
        let mut metrics = all(4);
        let pending = deltas.turn(&mut metrics, Temporality::Cumulative);
        assert!(pending.0.is_empty() && metrics == all(4));

        let pending = deltas.turn(&mut metrics, Temporality::LowMemory);
        deltas.told(pending);
        let mut metrics = all(6);
        deltas.turn(&mut metrics, Temporality::LowMemory);
        assert_eq!((&metrics[0], &metrics[2]), (&all(6)[0], &all(6)[2]));
        let Some(metric::Data::Histogram(data)) = &metrics[1].data else { panic!("{metrics:?}") };
        let point = &data.data_points[0];
        assert_eq!((point.count, point.sum, &*point.bucket_counts), (2, Some(0.0), &[2, 0][..]));
    }
}
