//! What the exporter knows, as plain data: no Graph shapes, no I/O, no clock.
//!
//! Collectors fill the parts of a [`Snapshot`]; [`fleet`] joins them at a moment `now` into the picture that
//! metrics, pages and commands show. Identity, since-times, versions and verdicts are pure functions here.

pub mod account;
pub mod calendar;
pub mod collector;
pub mod coverage;
pub mod credential;
pub mod detail;
pub mod device;
pub mod fleet;
pub mod identity;
pub mod incident;
pub mod license;
pub mod listing;
pub mod managed_device;
pub mod memory;
pub mod place;
pub mod presence;
pub mod privacy;
pub mod product_names;
pub mod record;
pub mod report;
pub mod room;
pub mod rooms_file;
pub mod service_health;
pub mod shard;
pub mod shared;
pub mod sight;
pub mod site;
pub mod snapshot;
pub mod stamp;
pub mod standing;
pub mod time;
pub mod usage;
pub mod version;

pub use snapshot::Snapshot;
pub use time::{Span, Timestamp};

/// The most characters of an id or an address: RFC 5321 allows 254 of an address, and none has more. Labels of ids are never
/// cut, because two that begin alike would be one series.
pub const MAX_ID_CHARS: usize = 254;

/// A closed set of states that becomes one 0/1 series per state.
pub trait State: Copy + PartialEq + 'static {
    /// Every state, in the order in which the series are written.
    const ALL: &'static [Self];
    /// The value of the label `state`: snake case.
    fn label(self) -> &'static str;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_labels<S: State>(expected: &str) {
        let labels: Vec<&str> = S::ALL.iter().map(|state| state.label()).collect();
        assert_eq!(labels.join(" "), expected);
    }

    /// Rules, dashboards and files name them.
    #[test]
    fn the_labels_of_states_stay() {
        check_labels::<account::Tier>("pro premium standard basic shared_device other none");
        check_labels::<collector::Collector>(
            "devices device_health presence places calendar accounts intune service_health credentials",
        );
        check_labels::<collector::CollectorState>(
            "ok starting partial paused disabled unauthorized forbidden retired throttled unreachable malformed empty frozen",
        );
        check_labels::<detail::Login>("exchange teams skype");
        check_labels::<detail::SoftwareKind>(
            "admin_agent company_portal firmware operating_system partner_agent teams_client",
        );
        check_labels::<device::Activity>("idle busy unavailable unknown");
        check_labels::<device::DeviceType>(
            "teams_room collaboration_bar surface_hub teams_panel touch_console teams_display ip_phone low_cost_phone \
             sip sip_analog unknown",
        );
        check_labels::<device::Health>("healthy non_urgent critical offline unknown");
        check_labels::<device::Role>("core console panel other");
        check_labels::<identity::Tie>("name mail object_id file");
        check_labels::<incident::Progress>("watching new investigating resolved closed");
        check_labels::<incident::Receipt>(
            "accepted duplicate outdated ignored malformed oversized throttled unauthorized",
        );
        check_labels::<incident::Reporter>("pro_management admin_center");
        check_labels::<incident::Severity>("critical important warning security recommendation unknown");
        check_labels::<incident::Signal>(
            "offline heartbeat sign_in exchange_sign_in calendar camera content_camera microphone speaker display \
             hdmi_ingest console panel network software other",
        );
        check_labels::<managed_device::Os>("windows android unknown");
        check_labels::<memory::Signal>(
            "health connection teams exchange skype room_camera content_camera microphone speaker \
             communication_speaker display",
        );
        check_labels::<presence::Availability>("available busy do_not_disturb away offline unknown");
        check_labels::<room::Area>("room account monitoring");
        check_labels::<room::RoomState>("ok degraded down unknown");
        check_labels::<room::Source>("device presence incident");
        check_labels::<service_health::Product>("teams exchange");
        check_labels::<service_health::ServiceState>("operational degraded interrupted recovering unknown");
    }
}
