//! When the secret expires that the exporter signs in with: from Graph, from the configuration, and in doubt too early.

use std::time::Duration;

use serde_json::{Value, json};
use teams_rooms_exporter::config::{Config, Enabled};
use teams_rooms_exporter::model::Timestamp;
use teams_rooms_exporter::sim::{self, CLIENT_ID};

use crate::exporter::{Exporter, Scenario, Scrape, parse, start_world};

const EXPIRY: &str = "teams_rooms_credential_expiry_timestamp_seconds";
const CONFIGURED: &str = "2027-01-31T00:00:00Z";

/// Credentials alone beside the devices, with a date or without.
fn scenario(enabled: Enabled, date: Option<&'static str>) -> Scenario {
    let configure = move |config: &mut Config| {
        for tenant in &mut config.tenants {
            tenant.collectors.credentials.enabled = enabled;
            tenant.collectors.credentials.interval = Duration::from_millis(100);
            tenant.client_secret_expires = date.and_then(Timestamp::parse);
        }
    };
    Scenario { rooms: 3, configure: Box::new(configure), ..Scenario::default() }
}

fn expires(scrape: &Scrape) -> Option<Timestamp> {
    let series = format!("{EXPIRY}{{tenant=\"contoso\",credential=\"client_secret\"}}");
    assert!(scrape.count(EXPIRY) <= 1);
    scrape.value(&series).and_then(|value| value.parse().ok()).map(Timestamp::from_seconds)
}

fn secret(hint: &Value, end: &str) -> Value {
    json!({"hint": hint, "endDateTime": end, "keyId": "00000000-0000-4000-8000-000000000000", "secretText": null})
}

/// The simulated secret begins with `sim`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_secrets_ours_counts() {
    let exporter = Exporter::start(scenario(Enabled::Yes, None)).await;
    let scrape = exporter.wait_for_state("credentials", "ok").await;
    assert_eq!(expires(&scrape), Timestamp::parse("2027-01-04T08:00:00Z"), "45 days from the start");
    let (early, late) = ("2026-12-01T00:00:00Z", "2027-06-01T00:00:00Z");
    for (secrets, expected) in [
        ([secret(&json!("sim"), late), secret(&json!("QZX"), early)], late),
        ([secret(&json!("QZX"), late), secret(&json!("ZXQ"), early)], early),
        ([secret(&json!(null), late), secret(&json!("QZX"), early)], late),
        ([secret(&json!("sim"), late), secret(&json!("sim"), early)], early),
        (
            [secret(&json!("sim"), "2026-11-01T00:00:00Z"), secret(&json!("QZX"), late)],
            "2026-11-01T00:00:00Z",
        ),
        ([json!("no object"), secret(&json!("sim"), late)], late),
    ] {
        exporter.sim.edit(CLIENT_ID, json!({"application": {"passwordCredentials": secrets}}));
        let expected = Timestamp::parse(expected);
        exporter.wait_until(format!("{secrets:?}"), |scrape| expires(scrape) == expected).await;
    }
    for text in [exporter.get("/metrics").await.1, exporter.get("/").await.1, exporter.log().join("\n")] {
        assert!(!text.contains("QZX") && !text.contains("ZXQ"), "not even the start of a secret is shown");
    }
    exporter.sim.edit(CLIENT_ID, json!({"application": {"passwordCredentials": []}}));
    let emptied = exporter.wait_for_state("credentials", "empty").await;
    assert_eq!(expires(&emptied), Timestamp::parse(late), "what was known is kept");
    exporter.stop().await;
}

/// A tenant whose administrator granted nothing but the devices.
async fn start_unpermitted(enabled: Enabled, date: Option<&'static str>) -> Exporter {
    let roles = Some(vec!["TeamworkDevice.Read.All".to_owned()]);
    let settings = sim::Settings { rooms: 3, speed: 0.0, roles, ..sim::Settings::default() };
    let sim = start_world(settings).await;
    Exporter::start(Scenario { sim: Some(sim), ..scenario(enabled, date) }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_date_needs_no_permission_and_graph_knows_better() {
    let exporter = start_unpermitted(Enabled::Auto, Some(CONFIGURED)).await;
    let scrape = exporter.wait_for_state("credentials", "ok").await;
    assert_eq!(expires(&scrape), Timestamp::parse(CONFIGURED));
    assert_eq!(scrape.collector("items", "contoso", "credentials"), Some(1.0));
    exporter.sim.set_roles(&["TeamworkDevice.Read.All", "Application.Read.All"]);
    let told = Timestamp::parse("2027-01-04T08:00:00Z");
    exporter.wait_until("Graph's word", |scrape| expires(scrape) == told).await;
    exporter.sim.set_faults(parse(&["error503@applications"]));
    let during = exporter.wait_for_state("credentials", "unreachable").await;
    assert_eq!(expires(&during), told, "an outage makes the configuration no better");
    exporter.sim.advance(Duration::from_hours(24 * 8));
    exporter.wait_until("the date again", |scrape| expires(scrape) == Timestamp::parse(CONFIGURED)).await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_permission_and_date_it_is_off() {
    let exporter = start_unpermitted(Enabled::Auto, None).await;
    assert_eq!(expires(&exporter.wait_for_state("credentials", "disabled").await), None);
    exporter.stop().await;
    let exporter = start_unpermitted(Enabled::Yes, None).await;
    assert_eq!(expires(&exporter.wait_for_state("credentials", "forbidden").await), None);
    exporter.stop().await;
    let exporter = start_unpermitted(Enabled::No, Some(CONFIGURED)).await;
    let scrape = exporter.wait_for_everything().await;
    assert_eq!((expires(&scrape), scrape.state("contoso", "credentials")), (None, "disabled"));
    exporter.stop().await;
}

/// An application of several tenants is registered in one: in the others Graph does not have it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_is_registered_elsewhere() {
    for (date, state) in [(None, "disabled"), (Some(CONFIGURED), "ok")] {
        let faults = &["no_source=applications"];
        let exporter = Exporter::start(Scenario { faults, ..scenario(Enabled::Auto, date) }).await;
        let scrape = exporter.wait_for_state("credentials", state).await;
        assert_eq!(expires(&scrape), date.and_then(Timestamp::parse));
        exporter.stop().await;
    }
}

/// A date that is written down shows whatever becomes of Graph; the collector still says how that fares.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_date_outlasts_any_failure() {
    for (fault, state) in [
        ("error503@applications", "unreachable"),
        ("html@applications", "malformed"),
        ("throttle_bare@applications", "throttled"),
    ] {
        let exporter = Exporter::start(scenario(Enabled::Yes, Some(CONFIGURED))).await;
        exporter.sim.set_faults(parse(&[fault]));
        exporter.wait_for_state("credentials", state).await;
        exporter.sim.advance(Duration::from_hours(24 * 30));
        exporter
            .wait_until(fault, |scrape| {
                expires(scrape) == Timestamp::parse(CONFIGURED)
                    && scrape.state("contoso", "credentials") == state
            })
            .await;
        exporter.stop().await;
    }
}
