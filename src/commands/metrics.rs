//! `metrics`: the catalogue as a table, and as a registry of OpenTelemetry's `weaver`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::cli::CatalogueFormat;
use crate::metrics::catalogue::{FAMILIES, Family, Kind, Stability};
use crate::metrics::points;

pub fn print(format: CatalogueFormat, out: &mut dyn Write) -> io::Result<()> {
    match format {
        CatalogueFormat::Table => table(out),
        CatalogueFormat::Markdown => out.write_all(markdown().as_bytes()),
        CatalogueFormat::Weaver => out.write_all(weaver().as_bytes()),
    }
}

fn table(out: &mut dyn Write) -> io::Result<()> {
    for family in FAMILIES {
        let notes = [kind(family), family.stability.label(), family.collector()];
        let notes: Vec<&str> = notes.into_iter().filter(|note| !note.is_empty()).collect();
        writeln!(
            out,
            "{}{{{}}}\n    {}\n    {}\n",
            family.name,
            family.labels.join(","),
            notes.join(", "),
            family.help
        )?;
    }
    Ok(())
}

/// The table of `docs/metrics.md`.
pub fn markdown() -> String {
    let mut table = "| metric | kind | labels | stability | meaning |\n|---|---|---|---|---|\n".to_owned();
    for family in FAMILIES {
        let labels = family.labels.join(", ");
        let help = family.help.replace('|', "\\|").replace('*', "\\*");
        let (kind, stability) = (kind(family), family.stability.label());
        writeln!(table, "| `{}` | {kind} | {labels} | {stability} | {help} |", family.name)
            .expect("a String takes everything");
    }
    table
}

fn kind(family: &Family) -> &'static str {
    match family.kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
        Kind::Histogram => "histogram",
    }
}

/// Groups of semantic conventions, as JSON, which is YAML: every label once, and every metric with the labels it has.
pub fn weaver() -> String {
    let labels: BTreeSet<&str> = FAMILIES.iter().flat_map(|family| family.labels.iter().copied()).collect();
    let attribute = |label: &&str| {
        json!({
            "id": *label,
            "type": "string",
            "stability": "stable",
            "brief": format!("The label {label} of the metrics that name it."),
            "examples": [""],
        })
    };
    let attributes: Vec<Value> = labels.iter().map(attribute).collect();
    let registry = json!({
        "id": "registry.teams_rooms",
        "type": "attribute_group",
        "display_name": "Teams Rooms",
        "brief": "Labels of the series of teams-rooms-exporter.",
        "attributes": attributes,
    });
    let groups: Vec<Value> = std::iter::once(registry).chain(FAMILIES.iter().map(weaver_metric)).collect();
    let mut text =
        serde_json::to_string_pretty(&json!({ "groups": groups })).expect("JSON always serialises");
    text.push('\n');
    text
}

fn weaver_metric(family: &Family) -> Value {
    let required = |label: &&str| json!({"ref": *label, "requirement_level": "required"});
    let attributes: Vec<Value> = family.labels.iter().map(required).collect();
    // The words of semantic conventions for ours.
    let stability = match family.stability {
        Stability::Stable => "stable",
        Stability::FollowsMicrosoft => "beta",
        Stability::Experimental => "development",
    };
    json!({
        "id": format!("metric.{}", family.name),
        "type": "metric",
        "metric_name": family.name,
        "stability": stability,
        "brief": family.help,
        "instrument": kind(family),
        "unit": family.unit.map_or("1", points::unit),
        "attributes": attributes,
        "annotations": {"preset": if family.is_lean() { "lean" } else { "full" }},
    })
}
