//! `healthcheck`: asks the exporter on this machine, for a container that has no shell to do it.
//!
//! The certificate of the exporter is not verified: it names a host and not loopback, nothing secret is sent, and all
//! that comes back is a yes or no.

use std::io::{self, Write};
use std::net::SocketAddr;

use anyhow::{Chain, Context as _};
use reqwest::redirect::Policy;
use rustls::AlertDescription;

use crate::config::Probe;

/// Prints one line; false where the exporter is not well, or not there.
pub async fn run(probe: &Probe, out: &mut impl Write) -> anyhow::Result<bool> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(probe.timeout)
        .tls_danger_accept_invalid_certs(true)
        .build()
        .context("cannot ask")?;
    let mut answer = Answer { good: false, text: String::new() };
    for address in &probe.addresses {
        answer = ask(&client, *address, probe).await;
        if answer.good {
            break;
        }
    }
    writeln!(out, "{}", answer.text.trim_end())?;
    Ok(answer.good)
}

struct Answer {
    good: bool,
    text: String,
}

async fn ask(client: &reqwest::Client, address: SocketAddr, probe: &Probe) -> Answer {
    let scheme = if probe.tls { "https" } else { "http" };
    let path = if probe.ready { "ready" } else { "healthy" };
    let response = match client.get(format!("{scheme}://{address}/-/{path}")).send().await {
        Ok(response) => response,
        Err(error) if probe.demands_certificate && is_refusal(&error) => {
            return guarded(probe, "a certificate");
        }
        Err(error) => {
            return Answer { good: false, text: format!("{address} does not answer: {}", cause(&error)) };
        }
    };
    let status = response.status().as_u16();
    match status {
        200 | 503 => {
            let text = response.text().await.unwrap_or_default();
            Answer { good: status == 200, text }
        }
        401 => guarded(probe, "a user"),
        429 => guarded(probe, "fewer requests"),
        _ => Answer { good: false, text: format!("{address} answers {status}; is that the exporter?") },
    }
}

/// Whoever turns us away is alive. Whether it is ready is not told.
fn guarded(probe: &Probe, wanted: &str) -> Answer {
    let text = if probe.ready {
        format!("whether it is ready cannot be told: it asks for {wanted}; see docs/serving.md for probes")
    } else {
        format!("teams-rooms-exporter is alive; it asks for {wanted}.")
    };
    Answer { good: !probe.ready, text }
}

/// Returns true if the exporter ended the connection because a certificate is missing. TLS 1.3 names the reason, TLS 1.2 less
/// clearly. In TLS 1.3 the client can also find the connection closed before it has read the reason.
fn is_refusal(error: &reqwest::Error) -> bool {
    let alert = Chain::new(error).find_map(alert);
    let is_closed = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<hyper::Error>().is_some_and(|error| error.is_canceled() || error.is_closed())
    };
    matches!(alert, Some(AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure))
        || Chain::new(error).any(is_closed)
}

/// What TLS was told; each layer on the way wraps it in an error of its own, which is not among the sources.
fn alert(cause: &(dyn std::error::Error + 'static)) -> Option<AlertDescription> {
    if let Some(rustls::Error::AlertReceived(alert)) = cause.downcast_ref() {
        return Some(*alert);
    }
    alert(cause.downcast_ref::<io::Error>()?.get_ref()?)
}

/// The last of the causes says it shortest.
fn cause(error: &reqwest::Error) -> String {
    Chain::new(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}
