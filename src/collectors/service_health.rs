//! Microsoft's own outages: `GET /v1.0/admin/serviceAnnouncement/healthOverviews` and the open `issues`.
//!
//! Permission `ServiceHealth.Read.All`. Products are matched by name, since ids differ between tenants.
//! <https://learn.microsoft.com/graph/api/resources/servicehealth>

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::collectors::Outcome;
use crate::collectors::wire::{self, Node, UnknownValue};
use crate::graph::page::Tally;
use crate::graph::{Client, Error, Operation, Workload};
use crate::input::json;
use crate::model::State;
use crate::model::service_health::{Product, ServiceHealth, ServiceState};

const OPERATION: Operation = Operation { name: "service_health", workload: Workload::ServiceAnnouncements };

/// The overviews and open issues of the products that rooms need.
pub async fn collect(client: &Client, deadline: Instant) -> (Outcome, BTreeMap<&'static str, ServiceHealth>) {
    let mut outcome = Outcome::default();
    let mut products: BTreeMap<&'static str, ServiceHealth> = BTreeMap::new();
    let overviews =
        read_all(client, "/v1.0/admin/serviceAnnouncement/healthOverviews", deadline, |node, unknown| {
            if let Some((product, state)) = overview(node, unknown) {
                products.insert(product.label(), ServiceHealth { state, incidents: 0, advisories: 0 });
            }
        });
    note(&mut outcome, "healthOverviews", overviews.await);
    let path = "/v1.0/admin/serviceAnnouncement/issues?$filter=isResolved%20eq%20false&$top=100";
    let issues = read_all(client, path, deadline, |node, unknown| {
        let Some((product, is_incident)) = open_issue(node, unknown) else { return };
        if let Some(health) = products.get_mut(product.label()) {
            let count = if is_incident { &mut health.incidents } else { &mut health.advisories };
            *count += 1;
        }
    });
    let issues = issues.await;
    if issues.is_err() {
        products.clear(); // "no incident" must not be read from an answer that never came
    }
    note(&mut outcome, "issues", issues);
    if !outcome.failures.is_empty() {
        outcome.parts_read = 0; // either half says nothing without the other
    }
    (outcome, products)
}

fn note(outcome: &mut Outcome, part: &str, read: Result<(Vec<UnknownValue>, Tally), Error>) {
    match read {
        Ok((unknown, tally)) => {
            outcome.unknown_values.extend(unknown);
            outcome.missing += tally.missing();
            outcome.parts_read += 1;
        }
        Err(error) => outcome.failures.push((part.to_owned(), error)),
    }
}

async fn read_all(
    client: &Client,
    path: &str,
    deadline: Instant,
    mut take: impl FnMut(Node<'_>, &mut Vec<UnknownValue>),
) -> Result<(Vec<UnknownValue>, Tally), Error> {
    let mut unknown = Vec::new();
    let mut pages = client.pages(OPERATION, path, deadline)?;
    while let Some(page) = pages.next().await {
        page?.read(|item| {
            if let Some(node) = value_of(item).as_ref().and_then(Node::new) {
                take(node, &mut unknown);
            }
        });
    }
    Ok((unknown, pages.tally()))
}

fn value_of(item: &RawValue) -> Option<serde_json::Value> {
    json::record(item.get()).ok()
}

/// `serviceHealth`
fn overview(node: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Option<(Product, ServiceState)> {
    let product = product(&node.text("service")?)?;
    let Some(text) = node.text("status") else { return Some((product, ServiceState::Unknown)) };
    let found = STATES.iter().find(|(name, _)| wire::same_name(name, &text));
    if found.is_none() {
        wire::note(unknown, "serviceHealth.status", &text);
    }
    Some((product, found.map_or(ServiceState::Unknown, |(_, state)| *state)))
}

/// `serviceHealthIssue`, of those still open; the filter is checked again, since Graph may ignore it.
fn open_issue(node: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Option<(Product, bool)> {
    let product = product(&node.text("service")?)?;
    if node.flag("isResolved") == Some(true) {
        return None;
    }
    let text = node.text("classification")?;
    let is_incident = wire::same_name("incident", &text);
    if !is_incident && !wire::same_name("advisory", &text) {
        wire::note(unknown, "serviceHealthIssue.classification", &text);
        return None;
    }
    Some((product, is_incident))
}

fn product(service: &str) -> Option<Product> {
    match service.trim().to_lowercase().as_str() {
        "microsoft teams" => Some(Product::Teams),
        "exchange online" | "microsoft exchange online" => Some(Product::Exchange),
        _ => None,
    }
}

/// `serviceHealthStatus`, every documented value.
#[rustfmt::skip]
const STATES: [(&str, ServiceState); 17] = [
    ("service_operational",             ServiceState::Operational),
    ("service_restored",                ServiceState::Operational),
    ("post_incident_review_published",  ServiceState::Operational),
    ("false_positive",                  ServiceState::Operational),
    ("resolved",                        ServiceState::Operational),
    ("resolved_external",               ServiceState::Operational),
    ("mitigated",                       ServiceState::Recovering),
    ("mitigated_external",              ServiceState::Recovering),
    ("restoring_service",               ServiceState::Recovering),
    ("verifying_service",               ServiceState::Recovering),
    ("extended_recovery",               ServiceState::Recovering),
    ("service_degradation",             ServiceState::Degraded),
    ("investigating",                   ServiceState::Degraded),
    ("investigation_suspended",         ServiceState::Degraded),
    ("confirmed",                       ServiceState::Degraded),
    ("reported",                        ServiceState::Degraded),
    ("service_interruption",            ServiceState::Interrupted),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check_overview(service: &str, status: &str, expected: Option<(Product, ServiceState)>) {
        let value = json!({ "service": service, "status": status });
        assert_eq!(
            overview(Node::new(&value).expect("an object"), &mut Vec::new()),
            expected,
            "{service} {status}"
        );
    }

    #[test]
    fn products_are_found_by_name_in_any_case() {
        check_overview(
            "Microsoft Teams",
            "ServiceOperational",
            Some((Product::Teams, ServiceState::Operational)),
        );
        check_overview(
            "microsoft teams",
            "serviceDegradation",
            Some((Product::Teams, ServiceState::Degraded)),
        );
        check_overview(
            "Exchange Online",
            "serviceInterruption",
            Some((Product::Exchange, ServiceState::Interrupted)),
        );
        check_overview("Exchange Online", "onFire", Some((Product::Exchange, ServiceState::Unknown)));
        check_overview("SharePoint Online", "serviceOperational", None);
    }

    #[track_caller]
    fn check_issue(value: &Value, expected: Option<(Product, bool)>) {
        assert_eq!(open_issue(Node::new(value).expect("an object"), &mut Vec::new()), expected, "{value}");
    }

    #[test]
    fn only_open_issues_count() {
        check_issue(
            &json!({ "service": "Microsoft Teams", "classification": "incident", "isResolved": false }),
            Some((Product::Teams, true)),
        );
        check_issue(
            &json!({ "service": "Microsoft Teams", "classification": "Advisory" }),
            Some((Product::Teams, false)),
        );
        check_issue(
            &json!({ "service": "Microsoft Teams", "classification": "incident", "isResolved": true }),
            None,
        );
        check_issue(&json!({ "service": "Microsoft Teams", "classification": "rumour" }), None);
    }
}
