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
use crate::model::memory::FORGET_AFTER;

/// What a receiver has been told of each counter.
#[derive(Debug, Default)]
pub(super) struct Deltas {
    /// By a hash of name and attributes: of a million counters two share one with a chance of one to 30 million.
    told: HashMap<u64, Told>,
    hasher: RandomState,
    push: u64,
    /// The time of the present push.
    now: u64,
    /// The most counters that one push had.
    most: usize,
}

#[derive(Clone, Debug, Default)]
struct Told {
    at: u64,
    sum: f64,
    buckets: Vec<u64>,
    push: u64,
}

/// The time for which a counter is remembered after its last push. That of a device may return with all that it counted until
/// then. Counters of rooms are forgotten earlier, and have a new start then.
const REMEMBERED: u64 = FORGET_AFTER.as_secs() * 1_000_000_000;

/// What has been told once the batch is taken.
#[derive(Debug, Default)]
pub(super) struct Pending(Vec<(u64, Told)>);

impl Deltas {
    /// A new push begins.
    pub(super) fn begin(&mut self, now: u64) {
        self.push += 1;
        self.now = now;
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
        // A counter that began after its last push counts from 0 again, and one that is less than it was as well.
        if let Some(told) = self.told.get(&key).filter(|told| point.start_time_unix_nano <= told.at) {
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

    /// The receiver took the whole push. A counter that was not in it may return; what cannot return is forgotten.
    pub(super) fn forget_absent(&mut self) {
        let (push, now) = (self.push, self.now);
        let absent: Vec<u64> =
            self.told.values().filter(|told| told.push != push).map(|told| told.at).collect();
        self.most = self.most.max(self.told.len() - absent.len());
        let end = nth_newest(absent, self.most).max(now.saturating_sub(REMEMBERED));
        self.told.retain(|_, told| told.push == push || told.at > end);
        self.told.shrink_to(self.told.len() * 2);
    }

    /// A room may be renamed: the key has its id or that of its device, and not its display name.
    fn key(&self, name: &str, attributes: &[KeyValue]) -> u64 {
        let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.clone())
        {
            Some(any_value::Value::StringValue(text)) => text,
            _ => String::new(),
        };
        let stable = attributes.iter().filter(|pair| pair.key != "room");
        let pairs: Vec<_> = stable.map(|pair| (pair.key.as_str(), text(pair))).collect();
        self.hasher.hash_one((name, pairs))
    }
}

/// The time up to which absent counters are forgotten, so that only this many are left. A fleet that is replaced as a whole
/// doubles the memory, and nothing makes it grow further.
fn nth_newest(mut absent: Vec<u64>, most: usize) -> u64 {
    if absent.len() <= most {
        return 0;
    }
    *absent.select_nth_unstable_by(most, |one, other| other.cmp(one)).1
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::AnyValue;
    use opentelemetry_proto::tonic::metrics::v1::{Gauge, Histogram, Sum};

    use super::*;

    fn counter(at: u64, value: f64) -> Vec<Metric> {
        counter_of(&[], 1, at, value)
    }

    fn counter_of(pairs: &[(&str, &str)], start: u64, at: u64, value: f64) -> Vec<Metric> {
        let attribute = |(key, value): &(&str, &str)| {
            let value = Some(any_value::Value::StringValue((*value).to_owned()));
            KeyValue { key: (*key).to_owned(), value: Some(AnyValue { value }), ..KeyValue::default() }
        };
        let point = NumberDataPoint {
            attributes: pairs.iter().map(attribute).collect(),
            start_time_unix_nano: start,
            time_unix_nano: at,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..Default::default()
        };
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
            deltas.begin(at);
            let mut metrics = counter(at, value);
            let pending = deltas.turn(&mut metrics, Temporality::Delta);
            if taken {
                deltas.told(pending);
                deltas.forget_absent();
            }
            shown(&metrics)
        };
        assert_eq!(turned(10, 3.0, true), (1, 3.0));
        assert_eq!(turned(20, 5.0, false), (10, 2.0));
        assert_eq!(turned(30, 9.0, true), (10, 6.0));
        assert_eq!(turned(40, 9.0, true), (30, 0.0));
        assert_eq!(turned(50, 2.0, true), (40, 2.0), "it began anew");
    }

    /// A push of one counter or of none: its labels, start, time and value.
    type Push<'p> = (&'p [(&'p str, &'p str)], u64, u64, Option<f64>);

    /// Pushes that are taken, and what each shows.
    #[track_caller]
    fn check(pushes: &[Push<'_>], expected: &[(u64, f64)]) {
        let (mut deltas, mut found) = (Deltas::default(), Vec::new());
        for (labels, start, at, value) in pushes {
            deltas.begin(*at);
            if let Some(value) = value {
                let mut metrics = counter_of(labels, *start, *at, *value);
                let pending = deltas.turn(&mut metrics, Temporality::Delta);
                deltas.told(pending);
                found.push(shown(&metrics));
            }
            deltas.forget_absent();
        }
        assert_eq!(found, expected);
    }

    const ROOM: &[(&str, &str)] = &[("tenant", "contoso"), ("room", "Oslo"), ("room_id", "oslo@contoso")];
    const RENAMED: &[(&str, &str)] =
        &[("tenant", "contoso"), ("room", "Bergen"), ("room_id", "oslo@contoso")];
    const OTHER: &[(&str, &str)] = &[("tenant", "contoso"), ("room", "Oslo"), ("room_id", "oslo-2@contoso")];

    #[test]
    fn a_counter_that_was_absent_from_a_push_is_not_counted_twice() {
        let pushes = [(3.0, 10), (5.0, 20)].map(|(value, at)| (ROOM, 1, at, Some(value)));
        let away = [(ROOM, 1, 30, None), (ROOM, 1, 40, None), (ROOM, 1, 50, Some(7.0))];
        check(&[&pushes[..], &away].concat(), &[(1, 3.0), (10, 2.0), (20, 2.0)]);
    }

    #[test]
    fn a_renamed_room_is_the_same_and_its_namesake_another() {
        let pushes = [(ROOM, 1, 10, Some(3.0)), (RENAMED, 1, 20, Some(5.0)), (OTHER, 1, 30, Some(4.0))];
        check(&pushes, &[(1, 3.0), (10, 2.0), (1, 4.0)]);
    }

    #[test]
    fn a_counter_that_began_again_is_told_whole_however_far_it_has_come() {
        let pushes = [(ROOM, 1, 10, Some(3.0)), (ROOM, 11, 20, Some(5.0)), (ROOM, 11, 30, Some(6.0))];
        check(&pushes, &[(1, 3.0), (11, 5.0), (20, 1.0)]);
    }

    #[test]
    fn a_counter_is_remembered_as_long_as_it_may_return() {
        let late = 10 + REMEMBERED;
        check(
            &[(ROOM, 1, 10, Some(3.0)), (ROOM, 1, late - 1, None), (ROOM, 1, late, Some(4.0))],
            &[(1, 3.0), (10, 1.0)],
        );
        check(
            &[(ROOM, 1, 10, Some(3.0)), (ROOM, 1, late, None), (ROOM, 1, late + 1, Some(4.0))],
            &[(1, 3.0), (1, 4.0)],
        );
    }

    #[test]
    fn no_more_absent_counters_are_remembered_than_a_push_ever_had() {
        let mut deltas = Deltas::default();
        let mut push = |at: u64, ids: std::ops::Range<u64>| {
            deltas.begin(at);
            for id in ids {
                let mut metrics = counter_of(&[("room_id", &id.to_string())], 1, at, 1.0);
                let pending = deltas.turn(&mut metrics, Temporality::Delta);
                deltas.told(pending);
            }
            deltas.forget_absent();
            deltas.told.len()
        };
        assert_eq!(push(10, 0..10), 10);
        assert_eq!(push(20, 0..1), 10, "those that are away are remembered");
        let sizes: Vec<_> = (1..10).map(|fleet| push(20 + fleet, fleet * 10..fleet * 10 + 10)).collect();
        assert_eq!(sizes[0], 20);
        assert!(sizes.iter().all(|size| *size <= 20), "{sizes:?}");
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
