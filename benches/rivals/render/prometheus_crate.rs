//! The crate `prometheus`: a collector makes protobuf structures, the registry gathers them, the encoder writes text.

use std::collections::HashMap;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, Registry, TextEncoder};

use super::fleet::{Device, Family, Fleet, STATES, TENANT};
use super::{Render, deflate};
use crate::collector::pair;

pub(super) struct Gathering {
    registry: Registry,
    text: Vec<u8>,
}

impl Gathering {
    pub(super) fn new(fleet: Fleet) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let description = Desc::new("fleet".to_owned(), "fleet".to_owned(), Vec::new(), HashMap::new())?;
        registry.register(Box::new(Collecting { fleet, description }))?;
        Ok(Self { registry, text: Vec::new() })
    }
}

impl Render for Gathering {
    fn text(&mut self) -> anyhow::Result<usize> {
        self.text.clear();
        TextEncoder::new().encode(&self.registry.gather(), &mut self.text)?;
        Ok(self.text.len())
    }

    fn deflated(&mut self) -> anyhow::Result<usize> {
        self.text()?;
        deflate(&self.text)
    }
}

struct Collecting {
    fleet: Fleet,
    description: Desc,
}

impl Collector for Collecting {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.description]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let devices = &self.fleet.devices;
        let singles = self.fleet.singles.iter().map(|one| {
            let sample = |device| metric(labels(device), one.value(device));
            family(one, devices.iter().map(sample).collect())
        });
        let states = self.fleet.states.iter().map(|one| {
            let samples = |device| {
                STATES.map(|state| metric(with(device, state), i64::from(state == one.state(device))))
            };
            family(one, devices.iter().flat_map(samples).collect())
        });
        singles.chain(states).collect()
    }
}

fn labels(device: &Device) -> Vec<LabelPair> {
    vec![pair("tenant", TENANT), pair("device_id", &device.id), pair("room", &device.room)]
}

fn with(device: &Device, state: &str) -> Vec<LabelPair> {
    let mut labels = labels(device);
    labels.push(pair("state", state));
    labels
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus stores every value as an f64")]
fn metric(labels: Vec<LabelPair>, value: i64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value as f64);
    let mut metric = Metric::from_label(labels);
    metric.set_gauge(gauge);
    metric
}

fn family(family: &Family, metrics: Vec<Metric>) -> MetricFamily {
    let mut made = MetricFamily::default();
    made.set_name(family.name.clone());
    made.set_help(family.help.clone());
    made.set_field_type(MetricType::GAUGE);
    made.set_metric(metrics);
    made
}
