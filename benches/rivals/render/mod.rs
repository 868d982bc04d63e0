//! Rendering and compressing, without a server: our pipeline and the two crates that Rust exporters use.
//!
//! Each run is a process of its own, so that its memory is its own.

mod fleet;
mod ours;
mod prometheus_client_crate;
mod prometheus_crate;

use std::env;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use flate2::write::DeflateEncoder;
use serde_json::{Value, json};

use self::fleet::Fleet;
use super::collector::LEVEL;
use super::process;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    series: Vec<usize>,
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

#[derive(clap::Args)]
pub(crate) struct OnceArgs {
    #[arg(long)]
    way: Way,
    #[arg(long)]
    series: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    Ours,
    Prometheus,
    PrometheusClient,
}

/// What holds the series and writes them.
trait Render {
    /// The whole text; its size.
    fn text(&mut self) -> anyhow::Result<usize>;
    /// The same, compressed; the size of that.
    fn deflated(&mut self) -> anyhow::Result<usize>;
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    for series in &args.series {
        for _ in 0..args.runs {
            for way in Way::value_variants() {
                let line = child(*way, *series)?;
                io::stdout().lock().write_all(&line)?;
            }
        }
    }
    Ok(())
}

fn child(way: Way, series: usize) -> anyhow::Result<Vec<u8>> {
    let way = way.to_possible_value().context("a way without a name")?;
    let output = Command::new(env::current_exe()?)
        .args(["render-once", "--way", way.get_name(), "--series", &series.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "{} failed", way.get_name());
    Ok(output.stdout)
}

/// Seconds and bytes, each time the second of two turns: the first one brings the memory in. The peak after the text is
/// that of the text alone.
pub(crate) fn once(args: &OnceArgs) -> anyhow::Result<Value> {
    let fleet = Fleet::of_series(args.series);
    let series = fleet.series();
    let mut renderer: Box<dyn Render> = match args.way {
        Way::Ours => Box::new(ours::Ours::new(fleet)),
        Way::Prometheus => Box::new(prometheus_crate::Gathering::new(fleet)?),
        Way::PrometheusClient => Box::new(prometheus_client_crate::Encoding::new(fleet)),
    };
    let held = process::memory("VmRSS");
    let (text_seconds, text_bytes) = second(|| renderer.text())?;
    let text_peak = process::memory("VmHWM");
    let (deflated_seconds, deflated_bytes) = second(|| renderer.deflated())?;
    Ok(json!({
        "way": args.way.to_possible_value().context("a way without a name")?.get_name(),
        "series": series,
        "text_seconds": text_seconds,
        "text_bytes": text_bytes,
        "deflated_seconds": deflated_seconds,
        "deflated_bytes": deflated_bytes,
        "held_bytes": held,
        "text_peak_bytes": text_peak,
        "deflated_peak_bytes": process::memory("VmHWM"),
    }))
}

fn second(mut render: impl FnMut() -> anyhow::Result<usize>) -> anyhow::Result<(f64, usize)> {
    render()?;
    let began = Instant::now();
    let size = render()?;
    Ok((began.elapsed().as_secs_f64(), size))
}

/// For the crates, which compress nothing themselves.
fn deflate(text: &[u8]) -> anyhow::Result<usize> {
    let mut encoder = DeflateEncoder::new(Vec::new(), LEVEL);
    encoder.write_all(text)?;
    Ok(encoder.finish()?.len())
}
