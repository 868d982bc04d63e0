//! A push is taken or refused; what is kept of it can be written and restored.

use teams_rooms_exporter::collectors::incidents;
use teams_rooms_exporter::model::incident::{Incidents, Receipt, Reporter};
use teams_rooms_exporter::model::{Snapshot, Timestamp};
use teams_rooms_exporter::store::Store;

const NOW: Timestamp = Timestamp::from_seconds(1_795_244_591);

/// As receivers saw them. The first byte says who pushes.
pub(crate) fn corpus() -> Vec<Vec<u8>> {
    let incident = r#"{"ID":"8d2f6f0e-7c41-4c0f-9a55-1b2c3d4e5f60","eventType":"Incident","data":"{\"ID\":\"i-1\",\"signal\":\"Camera\",\"severity\":\"Critical\",\"state\":\"New\",\"description\":\"Ada Lovelace says: no camera\",\"devices\":[{\"ID\":\"d-1\",\"displayName\":\"Oslo\",\"hostname\":\"MTR-OSLO\",\"roomAccount\":\"room-oslo@contoso.example\"}]}"}"#;
    let object = r#"{"ID":"s","eventType":"Incident","data":{"ID":"i-2","signal":"Display","severity":"Warning","state":"Closed","createdTime":"2026-11-20T08:00:00Z","lastUpdatedTime":"2026-11-20T09:00:00Z","devices":[]}}"#;
    let test = r#"{"eventType":"Test"}"#;
    let alert = r#"{"AlertTitle":"Ada Lovelace says: Oslo","DeviceLoggedInUserId":"5f1c","DeviceId":"d-1","MetricValues":{"DeviceHealthStatus":"offline"},"RuleName":"Device state rule","RuleType":"Device Management","TenantId":"t","RuleCondition":"DeviceHealthStatus = Offline","AlertRaisedAt":"2026-11-20T08:00:00Z"}"#;
    ["p", "a"]
        .iter()
        .flat_map(|who| [incident, object, test, alert].map(|body| format!("{who}{body}").into_bytes()))
        .collect()
}

pub(crate) fn run(input: &[u8]) {
    let Some((first, body)) = input.split_first() else { return };
    let reporter = if *first == b'a' { Reporter::AdminCenter } else { Reporter::ProManagement };
    let Ok(push) = incidents::read(reporter, body) else { return };
    assert!(push.unknown_values.iter().all(|unknown| unknown.value.chars().count() <= 256));
    let store = Store::new(Snapshot::default());
    let receipt = store.take_incident(reporter, push.event, NOW);
    assert!(matches!(receipt, Receipt::Accepted | Receipt::Ignored), "{receipt:?}");
    let incidents = store.snapshot().incidents;
    let kept = serde_json::to_string(&*incidents).expect("it can be kept");
    let restored: Incidents = serde_json::from_str(&kept).expect("and restored");
    assert_eq!(restored, *incidents);
}
