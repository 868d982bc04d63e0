//! What Microsoft's portals push: the incident webhook of Teams Rooms Pro Management and the device-state webhook of the
//! Teams admin center.
//!
//! Read are ids, signal, severity, state and time. Titles, descriptions and people are dropped here.
//! <https://learn.microsoft.com/microsoftteams/rooms/pmp-incident-webhook-integration> (its payload is known from
//! receivers only), <https://learn.microsoft.com/microsoftteams/alerts/device-health-status>

use std::sync::Arc;

use serde_json::Value;

use crate::collectors::wire::{self, Node, UnknownValue};
use crate::input::{self, json};
use crate::model::incident::{Event, Progress, Reporter, Severity, Signal, Target};

/// What a push says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Push {
    /// `None` where it is about something else than an incident.
    pub event: Option<Event>,
    pub unknown_values: Vec<UnknownValue>,
}

/// The push is not what this webhook sends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

/// An incident names one device; a site whose network fails may have it name many.
const MAX_TARGETS: usize = 50;

fn parsed(body: &[u8]) -> Option<Value> {
    let body = input::repair(body.to_vec());
    std::str::from_utf8(&body).ok().and_then(|text| json::record(text).ok())
}

/// Reads the body of a push.
pub fn read(reporter: Reporter, body: &[u8]) -> Result<Push, Malformed> {
    let value = parsed(body).ok_or(Malformed("the body is not JSON"))?;
    let node = Node::new(&value).ok_or(Malformed("the body is no JSON object"))?;
    match reporter {
        Reporter::ProManagement => incident(node),
        Reporter::AdminCenter => alert(node),
    }
}

/// The envelope of Pro Management, with an incident in `data`: as an object, or as a text that holds one.
fn incident(envelope: Node<'_>) -> Result<Push, Malformed> {
    if envelope.text("eventType").is_some_and(|kind| !wire::same_name("incident", &kind)) {
        return Ok(Push::default());
    }
    let text: Value;
    let data = match envelope.whole_text("data") {
        Some(data) => {
            text = parsed(data.as_bytes()).ok_or(Malformed("`data` is a text that is not JSON"))?;
            Node::new(&text)
        }
        None => envelope.node("data"),
    };
    let data = data.ok_or(Malformed("`data` holds no incident"))?;
    let id = data.id("ID").ok_or(Malformed("the incident has no `ID`"))?;
    let mut push = Push::default();
    let unknown = &mut push.unknown_values;
    let event = Event {
        id,
        progress: data.state("state", "incident.state", unknown),
        signal: data.text("signal").map(|name| signal(&name, unknown)),
        severity: severity(data, unknown),
        targets: data.nodes("devices").flatten().filter_map(device).take(MAX_TARGETS).collect(),
        at: None, // none is documented
    };
    push.unknown_values.iter_mut().for_each(hide_what_is_no_name);
    push.event = Some(event);
    Ok(push)
}

/// A device that went offline, or is back.
fn alert(alert: Node<'_>) -> Result<Push, Malformed> {
    let device_id = alert.id("DeviceId").map(|id| lower(&id)).ok_or(Malformed("there is no `DeviceId`"))?;
    let status = alert.node("MetricValues").and_then(|values| values.text("DeviceHealthStatus"));
    let status = status.ok_or(Malformed("there is no `DeviceHealthStatus`"))?;
    let mut push = Push::default();
    let progress = match status.to_ascii_lowercase().as_str() {
        "offline" => Some(Progress::New),
        "online" | "healthy" => Some(Progress::Resolved),
        _ => {
            let field = "alert.DeviceHealthStatus";
            push.unknown_values.push(UnknownValue { field, value: status.to_string() });
            None
        }
    };
    push.unknown_values.iter_mut().for_each(hide_what_is_no_name);
    let account = alert.id("DeviceLoggedInUserId").map(|id| lower(&id));
    push.event = Some(Event {
        id: device_id.clone(),
        progress,
        signal: Some(Signal::Offline),
        severity: Some(Severity::Critical),
        targets: vec![Target { device_id: Some(device_id), account }],
        at: alert.time("AlertRaisedAt"),
    });
    Ok(push)
}

fn signal(name: &str, unknown: &mut Vec<UnknownValue>) -> Signal {
    Signal::named(name).unwrap_or_else(|| {
        unknown.push(UnknownValue { field: "incident.signal", value: name.to_owned() });
        Signal::Other
    })
}

/// A severity that is there but not documented is `Unknown`; one that is missing says nothing.
fn severity(data: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Option<Severity> {
    data.has("severity")
        .then(|| data.state("severity", "incident.severity", unknown))
        .map(Option::unwrap_or_default)
}

/// One entry of `devices`: by what leads to a room. Its names are not read.
fn device(device: Node<'_>) -> Option<Target> {
    let (device_id, account) = (device.id("ID"), device.id("roomAccount"));
    let lower = |text: Option<Arc<str>>| text.map(|text| lower(&text));
    (device_id.is_some() || account.is_some())
        .then(|| Target { device_id: lower(device_id), account: lower(account) })
}

fn lower(text: &str) -> Arc<str> {
    text.to_lowercase().into()
}

/// Unknown values are logged, and a stranger's sentence has no place there.
fn hide_what_is_no_name(unknown: &mut UnknownValue) {
    const LONGEST_NAME: usize = 40;
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '/' | '(' | ')');
    if unknown.value.len() > LONGEST_NAME || !unknown.value.chars().all(of_name) {
        "(not a name)".clone_into(&mut unknown.value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use serde_json::json;

    fn data() -> Value {
        json!({
            "ID": "INC-2026-004211", "signal": "Camera", "severity": "Critical", "state": "New",
            "description": "Ada Lovelace says that the camera is not detected.",
            "devices": [{
                "ID": "4C1D7B0A-52f7-4be9-9b7e-0c2f51a6d101", "displayName": "Room Oslo 3.14",
                "hostname": "MTR-OSLO-314", "roomAccount": "Room-Oslo-314@contoso.example"
            }]
        })
    }

    fn envelope(data: &Value) -> Value {
        json!({ "ID": "8d2f6f0e", "eventType": "Incident", "data": data })
    }

    fn push(reporter: Reporter, value: &Value) -> Result<Push, Malformed> {
        read(reporter, value.to_string().as_bytes())
    }

    fn incident_of(data: &Value) -> Push {
        push(Reporter::ProManagement, &envelope(data)).expect("an incident")
    }

    #[test]
    fn data_may_be_a_text_or_an_object() {
        let expected = Event {
            id: "INC-2026-004211".into(),
            progress: Some(Progress::New),
            signal: Some(Signal::Camera),
            severity: Some(Severity::Critical),
            targets: vec![Target {
                device_id: Some("4c1d7b0a-52f7-4be9-9b7e-0c2f51a6d101".into()),
                account: Some("room-oslo-314@contoso.example".into()),
            }],
            at: None,
        };
        for data in [data(), json!(data().to_string())] {
            let push = incident_of(&data);
            assert_eq!(push, Push { event: Some(expected.clone()), unknown_values: Vec::new() });
            assert!(!format!("{push:?}").contains("Ada"));
        }
        let marked = [b"\xef\xbb\xbf", envelope(&data()).to_string().as_bytes()].concat();
        assert!(read(Reporter::ProManagement, &marked).is_ok());
    }

    #[test]
    fn a_long_text_is_read_whole() {
        let mut long = data();
        long["description"] = json!("x".repeat(5000));
        assert!(incident_of(&json!(long.to_string())).event.is_some());
    }

    #[test]
    fn any_case_is_read_and_strangers_are_noted() {
        let with = |changes: Value| {
            let mut data = data();
            for (key, value) in changes.as_object().expect("an object") {
                data[key] = value.clone();
            }
            incident_of(&data)
        };
        let found = with(json!({ "severity": "RECOMMENDATION", "state": "closed", "signal": "HDMI ingest" }));
        let event = found.event.expect("an event");
        assert_eq!(event.progress, Some(Progress::Closed));
        assert_eq!(
            (event.signal, event.severity),
            (Some(Signal::HdmiIngest), Some(Severity::Recommendation))
        );

        let found =
            with(json!({ "severity": "Apocalyptic", "state": "Snoozed", "signal": "Coffee machine" }));
        let event = found.event.expect("an event");
        assert_eq!(event.progress, None);
        assert_eq!((event.signal, event.severity), (Some(Signal::Other), Some(Severity::Unknown)));
        let mut fields: Vec<_> = found.unknown_values.iter().map(|unknown| unknown.field).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["incident.severity", "incident.signal", "incident.state"]);

        let found = with(json!({ "severity": null, "state": null, "signal": null, "devices": null }));
        let event = found.event.expect("an event");
        assert_eq!((event.progress, event.signal, event.severity), (None, None, None));
        assert!(event.targets.is_empty() && found.unknown_values.is_empty());

        let sentence = "Ask Ada Lovelace, ada@contoso.example, she was there";
        let found = with(json!({ "signal": sentence, "state": sentence, "severity": sentence }));
        assert_eq!(found.unknown_values.len(), 3);
        assert!(!format!("{found:?}").contains("Ada"), "{found:?}");
    }

    #[test]
    fn hostile_devices_cost_nothing() {
        let mut many = data();
        many["devices"] =
            json!((0..1000).map(|number| json!({ "ID": number.to_string() })).collect::<Vec<_>>());
        assert_eq!(incident_of(&many).event.expect("an event").targets.len(), MAX_TARGETS);
        many["devices"] =
            json!([null, 4, {}, { "ID": "a".repeat(1000) }, { "roomAccount": "oslo@contoso.example" }]);
        assert_eq!(incident_of(&many).event.expect("an event").targets.len(), 1);
    }

    #[test]
    fn what_is_no_incident_is_told_apart_from_what_is_broken() {
        let other = json!({ "eventType": "Test", "data": "hello" });
        assert_eq!(push(Reporter::ProManagement, &other), Ok(Push::default()));
        for value in [
            json!([]),
            json!("text"),
            json!({}),
            json!({ "eventType": "Incident", "data": "<html>" }),
            json!({ "eventType": "Incident", "data": [1] }),
            json!({ "eventType": "Incident", "data": { "state": "New" } }),
        ] {
            assert!(push(Reporter::ProManagement, &value).is_err(), "{value}");
            assert!(push(Reporter::AdminCenter, &value).is_err(), "{value}");
        }
        for body in ["", "<html></html>", "{\"data\":", "data=1&x=2"] {
            assert!(read(Reporter::ProManagement, body.as_bytes()).is_err(), "{body}");
        }
        let deep = "[".repeat(100_000);
        assert!(read(Reporter::ProManagement, deep.as_bytes()).is_err());
    }

    #[track_caller]
    fn check_alert(status: &str, expected: Option<Progress>, noted: usize) {
        let alert = json!({
            "AlertTitle": "MTR-OSLO-314 of Ada Lovelace has become offline",
            "DeviceLoggedInUserId": "1F0E9D8C-7b6a-4f5e-8d3c-2b1a09f8e7d1",
            "DeviceId": "4c1d7b0a-52f7-4be9-9b7e-0c2f51a6d101",
            "MetricValues": { "DeviceHealthStatus": status },
            "RuleName": "Device state rule", "AlertRaisedAt": "2026-11-21T07:15:06Z"
        });
        let found = push(Reporter::AdminCenter, &alert).expect("an alert");
        assert!(!format!("{found:?}").contains("Ada"));
        assert_eq!(found.unknown_values.len(), noted);
        let event = found.event.expect("an event");
        assert_eq!((event.progress, event.at), (expected, Timestamp::parse("2026-11-21T07:15:06Z")));
        assert_eq!((event.signal, event.severity), (Some(Signal::Offline), Some(Severity::Critical)));
        let [target] = &event.targets[..] else { panic!("one device") };
        assert_eq!(target.device_id.as_ref(), Some(&event.id));
        assert_eq!(target.account.as_deref(), Some("1f0e9d8c-7b6a-4f5e-8d3c-2b1a09f8e7d1"));
    }

    #[test]
    fn alerts_say_that_a_device_went_or_is_back() {
        check_alert("offline", Some(Progress::New), 0);
        check_alert("Offline", Some(Progress::New), 0);
        check_alert("online", Some(Progress::Resolved), 0);
        check_alert("Healthy", Some(Progress::Resolved), 0);
        check_alert("Confused", None, 1);
    }
}
