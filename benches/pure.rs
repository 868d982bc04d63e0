//! The pure parts, from the joined fleet to the bytes of a scrape: `cargo bench --bench pure`.

#[path = "fleet/mod.rs"]
mod fleet;

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use teams_rooms_exporter::metrics::View;
use teams_rooms_exporter::metrics::exposition::{Exposition, Selection};
use teams_rooms_exporter::metrics::segment::Part;
use teams_rooms_exporter::metrics::text::{Format, Labels};
use teams_rooms_exporter::model::fleet::{Fleet, Prints};

const SIZES: [usize; 2] = [1_000, 10_000];

/// From the snapshot to the view: once for each refresh, whatever changed.
fn join(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("join");
    group.sample_size(20);
    for devices in SIZES {
        let snapshot = fleet::store(devices).snapshot();
        group.throughput(Throughput::Elements(devices as u64));
        group.bench_function(BenchmarkId::new("fleet", devices), |bencher| {
            bencher.iter(|| black_box(Fleet::at(&snapshot, fleet::NOW).until));
        });
        let joined = Fleet::at(&snapshot, fleet::NOW);
        group.bench_function(BenchmarkId::new("judge", devices), |bencher| {
            bencher.iter(|| black_box(joined.judgements()));
        });
        let judgements = joined.judgements();
        group.bench_function(BenchmarkId::new("print", devices), |bencher| {
            bencher.iter(|| black_box(Prints::of(&joined, &judgements)));
        });
        group.bench_function(BenchmarkId::new("view", devices), |bencher| {
            bencher.iter(|| black_box(View::<Labels>::new(fleet::TENANT, &snapshot, fleet::NOW).until()));
        });
    }
    group.finish();
}

/// A refresh, from the snapshot to compressed blocks: of everything, of one device in a hundred, of nothing.
fn refresh(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("refresh");
    group.sample_size(10);
    for devices in SIZES {
        let store = fleet::store(devices);
        let before = store.snapshot();
        fleet::change(&store, devices);
        let after = store.snapshot();
        let drawn = || {
            let exposition = fleet::exposition();
            fleet::draw(&exposition, &before);
            exposition
        };
        let series = drawn().stats().series;
        group.throughput(Throughput::Elements(series));
        group.bench_function(BenchmarkId::new("all", devices), |bencher| {
            bencher.iter_batched(
                fleet::exposition,
                |new| fleet::draw(&new, &before),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("one_in_a_hundred", devices), |bencher| {
            bencher.iter_batched(
                drawn,
                |exposition| fleet::draw(&exposition, &after),
                BatchSize::PerIteration,
            );
        });
        let exposition = drawn();
        group.bench_function(BenchmarkId::new("nothing", devices), |bencher| {
            bencher.iter(|| fleet::draw(&exposition, &before));
        });
    }
    group.finish();
}

/// What a scrape finds before it is sent.
fn select(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("select");
    for devices in SIZES {
        let exposition = fleet::exposition();
        fleet::draw(&exposition, &fleet::store(devices).snapshot());
        for (name, gzip, part) in
            [("plain", false, None), ("gzip", true, None), ("part", true, Part::new(1, 4))]
        {
            group.bench_function(BenchmarkId::new(name, devices), |bencher| {
                bencher.iter(|| black_box(chosen(&exposition, gzip, part)));
            });
        }
    }
    group.finish();
}

/// The length of a scrape.
fn chosen(exposition: &Exposition, gzip: bool, part: Option<Part>) -> u64 {
    let selection = Selection { tenant: None, names: None, part, format: Format::OpenMetrics, gzip };
    exposition.select(&selection, b"").expect("all is always there").length
}

criterion_group!(benches, join, refresh, select);
criterion_main!(benches);
