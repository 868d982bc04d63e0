//! The crate `prometheus-client`: a collector writes into an encoder, no structures in between.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::fleet::{Device, Family, Fleet, STATES, TENANT};
use super::{Render, deflate};

pub(super) struct Encoding {
    registry: Registry,
    text: String,
}

impl Encoding {
    pub(super) fn new(fleet: Fleet) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Collecting(fleet)));
        Self { registry, text: String::new() }
    }
}

impl Render for Encoding {
    fn text(&mut self) -> anyhow::Result<usize> {
        self.text.clear();
        text::encode(&mut self.text, &self.registry)?;
        Ok(self.text.len())
    }

    fn deflated(&mut self) -> anyhow::Result<usize> {
        self.text()?;
        deflate(self.text.as_bytes())
    }
}

#[derive(Debug)]
struct Collecting(Fleet);

impl Collector for Collecting {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0.singles {
            let mut samples = begin(&mut encoder, family)?;
            for device in &self.0.devices {
                let labels = labels(device);
                let gauge = samples.encode_family(&labels)?;
                ConstGauge::new(family.value(device)).encode(gauge)?;
            }
        }
        for family in &self.0.states {
            let mut samples = begin(&mut encoder, family)?;
            for device in &self.0.devices {
                let (current, [tenant, id, room]) = (family.state(device), labels(device));
                for state in STATES {
                    let labels = [tenant, id, room, ("state", state)];
                    let gauge = samples.encode_family(&labels)?;
                    ConstGauge::new(i64::from(state == current)).encode(gauge)?;
                }
            }
        }
        Ok(())
    }
}

fn begin<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    family: &'e Family,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    encoder.encode_descriptor(&family.name, &family.help, None, MetricType::Gauge)
}

fn labels(device: &Device) -> [(&str, &str); 3] {
    [("tenant", TENANT), ("device_id", &device.id), ("room", &device.room)]
}
