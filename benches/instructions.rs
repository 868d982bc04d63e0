//! One pure part for each run, so that its instructions can be counted: `tests/proof/instructions` does, and knows how many
//! there may be.

#[path = "fleet/mod.rs"]
mod fleet;

use std::hint::black_box;

use anyhow::Context as _;
use teams_rooms_exporter::metrics::exposition::Selection;
use teams_rooms_exporter::metrics::text::Format;
use teams_rooms_exporter::model::fleet::{Fleet, Prints};
use teams_rooms_exporter::store::Store;

/// Enough for several blocks of most families, few enough to be counted within seconds.
const DEVICES: usize = 200;

fn main() -> anyhow::Result<()> {
    let part = std::env::args().nth(1).context("which part? see benches/instructions.json")?;
    let store = fleet::store(DEVICES);
    match &*part {
        "join" => join(&store),
        "refresh_all" => {
            let (exposition, snapshot) = (fleet::exposition(), store.snapshot());
            counted(|| fleet::draw(&exposition, &snapshot));
        }
        "refresh_changed" => refresh(&store, true),
        "refresh_unchanged" => refresh(&store, false),
        "select" => select(&store),
        other => anyhow::bail!("there is no part {other:?}"),
    }
    Ok(())
}

/// Only what happens in here is counted: `tests/proof/instructions` knows its name.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

fn join(store: &Store) {
    let snapshot = store.snapshot();
    counted(|| {
        let fleet = Fleet::at(&snapshot, fleet::NOW);
        let judgements = fleet.judgements();
        Prints::of(&fleet, &judgements).rooms.len()
    });
}

/// One device in a hundred has changed, or none.
fn refresh(store: &Store, changed: bool) {
    let exposition = fleet::exposition();
    fleet::draw(&exposition, &store.snapshot());
    if changed {
        fleet::change(store, DEVICES);
    }
    let snapshot = store.snapshot();
    counted(|| fleet::draw(&exposition, &snapshot));
}

fn select(store: &Store) {
    let exposition = fleet::exposition();
    fleet::draw(&exposition, &store.snapshot());
    let selection =
        Selection { tenant: None, names: None, part: None, format: Format::OpenMetrics, gzip: true };
    counted(|| exposition.select(&selection, b"").is_ok());
}
