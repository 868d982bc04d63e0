//! `/sd`: one scrape target for each tenant, or several that share its rooms, as Prometheus discovers targets over HTTP.
//!
//! <https://prometheus.io/docs/prometheus/latest/http_sd/>

use std::collections::BTreeMap;

use serde::Serialize;
use url::Url;

/// Where this exporter is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) is_https: bool,
    /// Host and port.
    pub(super) host: String,
    /// Path of the metrics.
    pub(super) path: String,
}

/// A host that no DNS name and no address is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header Host is no host and port; --web.external-url tells where this exporter is reached")]
pub(super) struct NoHost;

/// DNS names have up to 253 characters; a port follows.
const MAX_HOST_LENGTH: usize = 260;

impl Place {
    /// As the request that asks has found it.
    pub(super) fn of_request(host: &str, is_https: bool, path: &str) -> Result<Self, NoHost> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        if host.is_empty() || host.len() > MAX_HOST_LENGTH || !host.chars().all(is_part) {
            return Err(NoHost);
        }
        Ok(Self { is_https, host: host.to_owned(), path: path.to_owned() })
    }

    /// As it was configured, behind whatever proxy; `path` is that of the metrics below it.
    pub(super) fn of_url(url: &Url, path: &str) -> Self {
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let path = format!("{}{path}", url.path().trim_end_matches('/'));
        Self { is_https: url.scheme() == "https", host, path }
    }
}

#[derive(Serialize)]
struct Group<'a> {
    targets: [&'a str; 1],
    labels: BTreeMap<&'a str, String>,
}

/// The targets as JSON; with `parts` so many for each tenant. They differ in `instance`, which would be the same address
/// for all of them.
pub(super) fn targets<'a>(
    place: &Place,
    tenants: impl IntoIterator<Item = &'a str>,
    parts: Option<usize>,
) -> Vec<u8> {
    let group = |tenant: &str, part: Option<String>| {
        let mut instance = format!("{}/{tenant}", place.host);
        let mut labels = BTreeMap::from([
            ("__scheme__", if place.is_https { "https" } else { "http" }.to_owned()),
            ("__metrics_path__", place.path.clone()),
            ("__param_tenant", tenant.to_owned()),
            ("__meta_teams_rooms_tenant", tenant.to_owned()),
        ]);
        if let Some(part) = part {
            instance.extend(["/", &part]);
            labels.insert("__param_part", part);
        }
        labels.insert("instance", instance);
        Group { targets: [&place.host], labels }
    };
    let groups: Vec<Group<'_>> = match parts {
        None => tenants.into_iter().map(|tenant| group(tenant, None)).collect(),
        Some(parts) => {
            let of_tenant = |tenant| (1..=parts).map(move |part| (tenant, format!("{part}/{parts}")));
            tenants.into_iter().flat_map(of_tenant).map(|(tenant, part)| group(tenant, Some(part))).collect()
        }
    };
    let mut json = serde_json::to_vec(&groups).expect("texts always serialise");
    json.push(b'\n');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_where_the_request_came_or_as_configured() {
        let place = |is_https, host: &str, path: &str| Place {
            is_https,
            host: host.to_owned(),
            path: path.to_owned(),
        };
        for host in ["exporter:10064", "10.0.0.7", "[::1]:10064", "teams_rooms.example"] {
            assert_eq!(Place::of_request(host, false, "/m"), Ok(place(false, host, "/m")));
        }
        for host in ["", "a b", "a/b", "user@a", "a\"", "ä", &"a".repeat(300)] {
            assert_eq!(Place::of_request(host, false, "/m"), Err(NoHost), "{host}");
        }
        let url = |text| Place::of_url(&Url::parse(text).expect("a URL"), "/metrics");
        assert_eq!(url("https://rooms.example/exporter/"), place(true, "rooms.example", "/exporter/metrics"));
        assert_eq!(url("http://rooms.example:8080"), place(false, "rooms.example:8080", "/metrics"));
    }

    #[test]
    fn each_tenant_is_a_target_of_its_own() {
        let place = Place::of_request("exporter:10064", true, "/metrics").expect("a host");
        let json = targets(&place, ["contoso", "fabrikam"], None);
        let found: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        let target = |tenant: &str| {
            serde_json::json!({"targets": ["exporter:10064"], "labels": {
                "__scheme__": "https", "__metrics_path__": "/metrics", "__param_tenant": tenant,
                "__meta_teams_rooms_tenant": tenant, "instance": format!("exporter:10064/{tenant}"),
            }})
        };
        assert_eq!(found, serde_json::json!([target("contoso"), target("fabrikam")]));
    }

    #[test]
    fn the_parts_of_a_tenant_are_targets_of_their_own() {
        let place = Place::of_request("exporter:10064", false, "/metrics").expect("a host");
        let json = targets(&place, ["contoso"], Some(2));
        let found: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        let target = |part: &str| {
            serde_json::json!({"targets": ["exporter:10064"], "labels": {
                "__scheme__": "http", "__metrics_path__": "/metrics", "__param_tenant": "contoso", "__param_part": part,
                "__meta_teams_rooms_tenant": "contoso", "instance": format!("exporter:10064/contoso/{part}"),
            }})
        };
        assert_eq!(found, serde_json::json!([target("1/2"), target("2/2")]));
    }
}
