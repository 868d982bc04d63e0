//! The exporter's own series, written for each scrape: they change with every one.

use crate::metrics::catalogue::{FAMILIES, Family, Source};
use crate::metrics::exposition::{Names, Stats as ExpositionStats};
use crate::metrics::text::{Format, Labels, Lines};
use crate::model::shard::Shard;
use crate::stats::Stats;
use prometheus::proto::{Metric, MetricFamily};

/// What a scrape asks for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Only series of this tenant; those of the process and the exporter belong to none.
    pub tenant: Option<&'a str>,
    pub names: Option<&'a Names>,
    pub format: Format,
}

/// The exporter's own families behind those of the fleet.
pub fn lines(
    stats: &Stats,
    exposition: ExpositionStats,
    shard: Shard,
    asked: Asked<'_>,
    exposed: &dyn Fn(&Family) -> bool,
) -> Vec<u8> {
    let mut lines = Lines::default();
    let wanted = |name: &str| {
        let family = Family::find(name).is_some_and(exposed);
        family && asked.names.is_none_or(|names| names.contains(name))
    };
    let mut gathered = stats.gather();
    gathered.retain(|family| wanted(family.name()));
    if let Some(tenant) = asked.tenant {
        for family in &mut gathered {
            keep_tenant(family, tenant);
        }
    }
    lines.gathered(&gathered, FAMILIES, asked.format);
    if asked.tenant.is_none() {
        for family in FAMILIES.iter().filter(|family| wanted(family.name)) {
            about_ourselves(&mut lines, family, exposition, shard, asked.format);
        }
    }
    lines.into_bytes()
}

fn keep_tenant(family: &mut MetricFamily, tenant: &str) {
    let of_tenant = |metric: &Metric| {
        metric.get_label().iter().any(|label| label.name() == "tenant" && label.value() == tenant)
    };
    let kept: Vec<Metric> = family.take_metric().into_iter().filter(of_tenant).collect();
    family.set_metric(kept);
}

/// The families that no counter holds.
fn about_ourselves(
    lines: &mut Lines,
    family: &Family,
    exposition: ExpositionStats,
    shard: Shard,
    format: Format,
) {
    if !matches!(family.source, Source::Exporter) {
        return;
    }
    let none = Labels::default();
    match family.name {
        "teams_rooms_exporter_build_info" => {
            lines.header(family, format);
            let build = [
                ("version", env!("CARGO_PKG_VERSION")),
                ("revision", env!("TEAMS_ROOMS_EXPORTER_REVISION")),
                ("rustversion", env!("TEAMS_ROOMS_EXPORTER_RUSTVERSION")),
                ("target", env!("TEAMS_ROOMS_EXPORTER_TARGET")),
            ];
            lines.sample(family.name, &none, &build, true);
        }
        "teams_rooms_exporter_shard_info" => {
            lines.header(family, format);
            let (index, count) = (shard.index().to_string(), shard.count().to_string());
            lines.sample(family.name, &none, &[("shard", &index), ("shards", &count)], true);
        }
        "teams_rooms_exporter_shards" => {
            lines.header(family, format);
            lines.sample(family.name, &none, &[], u64::from(shard.count()));
        }
        "teams_rooms_exporter_series" => {
            lines.header(family, format);
            lines.sample(family.name, &none, &[], exposition.series);
        }
        "teams_rooms_exporter_exposition_bytes" => {
            lines.header(family, format);
            lines.sample(family.name, &none, &[("encoding", "identity")], exposition.plain_bytes);
            lines.sample(family.name, &none, &[("encoding", "gzip")], exposition.deflated_bytes);
        }
        "teams_rooms_exporter_blocks_rendered_total" => {
            lines.header(family, format);
            lines.sample(family.name, &none, &[], exposition.rendered);
        }
        _ => {}
    }
}
