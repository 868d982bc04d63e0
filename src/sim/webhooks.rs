//! What Microsoft's portals push when something is wrong with a room, as their documentation and receivers show it.
//!
//! The simulated tenant itself sends nothing: a client reads the body here and posts it, and `demo` posts the incidents of
//! `breakage`. Descriptions and titles name a person, who must not show anywhere.

use serde_json::{Value, json};
use uuid::Uuid;

use super::tenant::Tenant;

/// Stands in every free text.
pub(super) const PERSON: &str = "Ada Lovelace";

/// The body of one push.
#[derive(Clone, Copy, Debug)]
pub struct Webhook<'a> {
    /// User principal name of the room's account.
    pub room: &'a str,
    /// Of the portal; the same one twice is the same incident.
    pub id: &'a str,
    pub signal: &'a str,
    pub severity: &'a str,
    pub state: &'a str,
}

/// Incident webhook of Teams Rooms Pro Management; `data` is a text. The documentation of this page was not to be had:
/// the shape is that of a receiver.
/// <https://learn.microsoft.com/microsoftteams/rooms/pmp-incident-webhook-integration>
pub(super) fn incident(webhook: &Webhook<'_>, tenant: &Tenant) -> Option<Value> {
    let (name, device_id) = room(tenant, webhook.room)?;
    let data = json!({
        "ID": webhook.id,
        "signal": webhook.signal,
        "severity": webhook.severity,
        "state": webhook.state,
        "description": format!("{PERSON} says: {} is not detected by the Teams Rooms app.", webhook.signal),
        "devices": [{
            "ID": device_id,
            "displayName": name,
            "hostname": format!("MTR-{}", name.replace(' ', "-").to_uppercase()),
            "roomAccount": webhook.room,
        }],
    });
    let subscription = Uuid::from_u128(0x8d2f_6f0e_7c41_4c0f_9a55_1b2c_3d4e_5f60);
    Some(json!({"ID": subscription.to_string(), "eventType": "Incident", "data": data.to_string()}))
}

/// Device-state webhook of the Teams admin center; the state is `offline` or `online`.
/// <https://learn.microsoft.com/microsoftteams/alerts/device-health-status>
pub(super) fn alert(webhook: &Webhook<'_>, tenant: &Tenant) -> Option<Value> {
    let (name, device_id) = room(tenant, webhook.room)?;
    let account = tenant.world.mailbox_at(webhook.room)?.room.account.id.to_string();
    Some(json!({
        "AlertTitle": format!("{name} of {PERSON} has become {}", webhook.state),
        "DeviceLoggedInUserId": account,
        "DeviceId": device_id,
        "MetricValues": {"DeviceHealthStatus": webhook.state},
        "RuleName": "Device state rule",
        "RuleDescription": "Alerts when device health status is detected as offline",
        "RuleFrequency": "Real-time",
        "RuleType": "Device Management",
        "TenantId": super::TENANT_ID,
        "RuleCondition": "DeviceHealthStatus = Offline",
        "AlertRaisedAt": tenant.clock.now().to_string(),
    }))
}

/// Name and first device of the room with this account.
fn room(tenant: &Tenant, upn: &str) -> Option<(String, String)> {
    let (room, entries) =
        tenant.world.rooms().find(|(room, _)| room.account.user_principal_name.eq_ignore_ascii_case(upn))?;
    let device = entries.iter().find(|entry| tenant.is_present(entry.id))?;
    Some((room.name, device.id.to_string()))
}
