//! `metrics`: the catalogue as a table.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::cli::CatalogueFormat;
use crate::metrics::catalogue::{FAMILIES, Family, Kind};

pub fn print(format: CatalogueFormat, out: &mut dyn Write) -> io::Result<()> {
    match format {
        CatalogueFormat::Table => table(out),
        CatalogueFormat::Markdown => out.write_all(markdown().as_bytes()),
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

/// README's table.
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
