//! What the exporter is held against, and the client that loads it: `benches/scrape` and `benches/render` run this.

mod collector;
mod http;
mod load;
mod model;
mod process;
mod render;
mod write_loop;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
    /// What `cargo bench` tells every benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Serves finished bytes with nothing but a write: the limit
    WriteLoop {
        #[arg(long)]
        plain: PathBuf,
        #[arg(long)]
        gzip: PathBuf,
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Serves the families of a file, gathered by the crate `prometheus` for each scrape
    Collector {
        file: PathBuf,
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Scrapes on kept connections and prints what it took as JSON
    Load(load::Args),
    /// Renders made-up devices in three ways, in turn, and prints each run as a line of JSON
    Render(render::Args),
    /// One way of rendering in a process of its own
    RenderOnce(render::OnceArgs),
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::WriteLoop { plain, gzip, listen } => write_loop::serve(&plain, &gzip, listen),
        Command::Collector { file, listen } => collector::serve(&file, listen),
        Command::Load(args) => print(&load::run(&args)?),
        Command::Render(args) => render::run(&args),
        Command::RenderOnce(args) => print(&render::once(&args)?),
    }
}

fn print(result: &serde_json::Value) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{result}")?)
}
