//! The exporter's own series, written for each scrape: they change with every one.

use crate::metrics::catalogue::{FAMILIES, Family, Source};
use crate::metrics::exposition::{Names, Stats as ExpositionStats};
use crate::metrics::points::Points;
use crate::metrics::segment::Part;
use crate::metrics::text::{Format, Labels, Lines};
use crate::metrics::{Out, Sink};
use crate::model::shard::Shard;
use crate::stats::Stats;
use prometheus::proto::{Metric, MetricFamily};

/// What is told of the process beside its counters.
#[derive(Clone, Copy, Debug)]
pub struct About {
    pub exposition: ExpositionStats,
    pub shard: Shard,
}

/// What a scrape asks for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Only series of this tenant; empty: of none.
    pub tenant: Option<&'a str>,
    /// Also those of the process and the exporter, which belong to no tenant.
    pub process: bool,
    pub names: Option<&'a Names>,
    /// They are of no room, and so in the first part.
    pub part: Option<Part>,
    pub format: Format,
}

/// The exporter's own families behind those of the fleet.
pub fn lines(stats: &Stats, about: &About, asked: Asked<'_>, exposed: &dyn Fn(&Family) -> bool) -> Vec<u8> {
    let mut lines = Lines::default();
    if asked.part.is_some_and(|part| !part.is_first()) {
        return lines.into_bytes();
    }
    let wanted = |name: &str| {
        let family = Family::find(name).is_some_and(exposed);
        family && asked.names.is_none_or(|names| names.contains(name))
    };
    let mut gathered = stats.gather();
    gathered.retain(|family| wanted(family.name()));
    if let Some(tenant) = asked.tenant {
        for family in &mut gathered {
            keep_tenant(family, tenant, asked.process);
        }
    }
    lines.gathered(&gathered, Family::find, asked.format);
    if asked.process {
        let none = Labels::default();
        for family in FAMILIES.iter().filter(|family| wanted(family.name)) {
            if let Source::About(write) = family.source {
                lines.header(family, asked.format);
                let sink = Sink::Text { lines: &mut lines, labels: &none };
                write(&mut Out { name: family.name, sink }, about);
            }
        }
    }
    lines.into_bytes()
}

/// The same families as data points.
pub fn observe(stats: &Stats, about: &About, exposed: &dyn Fn(&Family) -> bool, points: &mut Points) {
    for gathered in stats.gather() {
        if let Some(family) = Family::find(gathered.name()).filter(|family| exposed(family)) {
            points.family(family);
            points.gathered(&gathered, &|tenant| stats.began(tenant));
        }
    }
    for family in FAMILIES.iter().filter(|family| exposed(family)) {
        if let Source::About(write) = family.source {
            points.family(family);
            write(&mut Out { name: family.name, sink: Sink::Points { points, attributes: &[] } }, about);
        }
    }
}

fn keep_tenant(family: &mut MetricFamily, tenant: &str, process: bool) {
    let of_tenant = |metric: &Metric| {
        let own = metric.get_label().iter().find(|label| label.name() == "tenant");
        own.map_or(process, |label| label.value() == tenant)
    };
    let kept: Vec<Metric> = family.take_metric().into_iter().filter(of_tenant).collect();
    family.set_metric(kept);
}

pub(super) fn build_info(out: &mut Out<'_>, _: &About) {
    let build = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", env!("TEAMS_ROOMS_EXPORTER_REVISION")),
        ("rustversion", env!("TEAMS_ROOMS_EXPORTER_RUSTVERSION")),
        ("target", env!("TEAMS_ROOMS_EXPORTER_TARGET")),
    ];
    out.with(&build, true);
}

pub(super) fn shard_info(out: &mut Out<'_>, about: &About) {
    let (index, count) = (about.shard.index().to_string(), about.shard.count().to_string());
    out.with(&[("shard", &index), ("shards", &count)], true);
}

pub(super) fn shards(out: &mut Out<'_>, about: &About) {
    out.value(about.shard.count());
}

pub(super) fn series(out: &mut Out<'_>, about: &About) {
    out.value(about.exposition.series);
}

pub(super) fn exposition_bytes(out: &mut Out<'_>, about: &About) {
    out.with(&[("encoding", "identity")], about.exposition.plain_bytes);
    out.with(&[("encoding", "gzip")], about.exposition.deflated_bytes);
}

pub(super) fn blocks_rendered(out: &mut Out<'_>, about: &About) {
    out.value(about.exposition.rendered);
}
