//! `demo break` and `demo repair`, which talk to the simulated tenant of a running demo, and the portal of that tenant.

use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum as _;
use serde_json::Value;
use tokio::sync::mpsc::Receiver;

use crate::cli::{Breakage, DemoAction};

/// The demo runs on the same machine.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Does what was asked for and prints the answer; false if the tenant rejects it.
pub async fn run(action: &DemoAction, out: &mut impl Write) -> anyhow::Result<bool> {
    let (url, path) = match action {
        DemoAction::Break(args) => (&args.simulator.url, format!("break/{}", word(args.what))),
        DemoAction::Repair(simulator) => (&simulator.url, "repair".to_owned()),
    };
    let url = url.trim_end_matches('/');
    let unreachable = || {
        format!(
            "no demo answers at {url}; start one with `teams-rooms-exporter demo`, or set --simulator.url"
        )
    };
    let response = client()?.post(format!("{url}/_sim/{path}")).send().await.with_context(unreachable)?;
    let good = response.status().is_success();
    let text = response.text().await.with_context(unreachable)?;
    writeln!(out, "{}", if good { text.trim_end().to_owned() } else { message(&text) })?;
    Ok(good)
}

fn word(what: Breakage) -> String {
    what.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The message in an error of the tenant, which has the shape of Graph's.
fn message(text: &str) -> String {
    let error: Value = serde_json::from_str(text).unwrap_or_default();
    error.pointer("/error/message").and_then(Value::as_str).unwrap_or(text).to_owned()
}

/// Sends what the simulated portal reports to the intake of the exporter, until the tenant ends.
pub async fn portal(mut sent: Receiver<Value>, intake: String) -> anyhow::Result<()> {
    let client = client()?;
    while let Some(body) = sent.recv().await {
        let answer = client.post(&intake).body(body.to_string()).send().await;
        if let Err(error) = answer.and_then(reqwest::Response::error_for_status) {
            tracing::warn!(error = %error.without_url(), "the exporter does not take an incident of the simulated portal");
        }
    }
    Ok(())
}

fn client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().context("cannot send requests")
}
