//! One device of the tenant: everything about it that does not move with time.

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::building::Account;
use super::hardware::{self, DeviceType, Model};
use super::timeline::{DAY, Episode, HOUR, MINUTE};
use crate::sim::chance::Chance;

/// What a device is for. A room has one `Core`, at times a `Second` or a `Replaced` one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::sim) enum Part {
    Core,
    Second,
    /// The predecessor of a core device, long unplugged but never deleted; `true`: it was signed out first.
    Replaced(bool),
    Console,
    Panel,
    /// Signed in by a person.
    Personal,
    NeverSignedIn,
    /// A record with hardly anything in it.
    Bare,
}

/// What goes wrong with a device around the start of the simulation, so that there is always something to
/// see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Story {
    Uneventful,
    CameraLost,
    Offline,
    ExchangeLost,
    UpdatesHeld,
}

#[derive(Clone, Debug)]
pub(in crate::sim) struct Device {
    pub(in crate::sim) id: Uuid,
    pub(in crate::sim) kind: DeviceType,
    pub(in crate::sim) part: Part,
    pub(in crate::sim) story: Story,
    pub(in crate::sim) chance: Chance,
    /// The draw of its room: all devices of a room share its meetings.
    pub(in crate::sim) room_chance: Chance,
    pub(in crate::sim) model: &'static Model,
    pub(in crate::sim) account: Option<Account>,
    pub(in crate::sim) zone: TimeZone,
    pub(in crate::sim) zone_name: &'static str,
    pub(in crate::sim) enrolled: i64,
    /// The start of the simulation, which stories are set around.
    pub(in crate::sim) start: i64,
}

/// How long before the start an old core device was unplugged.
const REPLACED_BEFORE: i64 = 33 * DAY;

impl Device {
    pub(in crate::sim) fn serial_number(&self) -> String {
        format!("{}{}", self.model.serial_prefix, self.chance.named("serial").serial(6))
    }

    /// The adapters of a device are numbered from 0, and so are their addresses.
    pub(in crate::sim) fn mac_address(&self, adapter: u8) -> String {
        let [a, b, c, ..] = self.chance.named("mac").bytes();
        let c = c.wrapping_add(adapter);
        format!("{}-{a:02X}-{b:02X}-{c:02X}", self.model.mac_prefix)
    }

    /// A hash on Windows, the MAC address on everything else.
    pub(in crate::sim) fn unique_id(&self) -> String {
        if self.kind.is_windows() {
            return format!("{:016x}", self.chance.named("unique id").seed());
        }
        self.mac_address(0).replace('-', "").to_lowercase()
    }

    /// Four in five devices carry a sticker of the company.
    pub(in crate::sim) fn asset_tag(&self) -> Option<String> {
        let draw = self.chance.named("asset tag");
        draw.happens(0.8).then(|| format!("AV-{:06}", draw.named("number").between(1, 999_999)))
    }

    pub(in crate::sim) fn notes(&self) -> Option<&'static str> {
        let draw = self.chance.named("notes");
        draw.happens(0.2).then(|| *draw.pick(&["12 seats, dual display", "Key at reception", "Board room"]))
    }

    /// The newest heartbeat by `at`: one every few minutes. Paces differ, and so do phases.
    pub(in crate::sim) fn last_beat(&self, at: i64) -> i64 {
        let pause = self.chance.named("heartbeat").between(2 * MINUTE, 5 * MINUTE);
        at - at.rem_euclid(pause)
    }

    /// Only cores are in a meeting; panels and consoles merely show it.
    pub(in crate::sim) fn meets(&self) -> bool {
        matches!(self.part, Part::Core | Part::Second)
    }

    /// When a replaced device was unplugged for good.
    pub(in crate::sim) fn unplugged(&self) -> Option<Episode> {
        matches!(self.part, Part::Replaced(_)).then(|| Episode::from(self.start - REPLACED_BEFORE))
    }

    /// The trouble of this device's story, if it is of that kind.
    pub(in crate::sim) fn trouble(&self, story: Story) -> Option<Episode> {
        let (before, after) = match story {
            Story::CameraLost => (77 * MINUTE, 5 * HOUR),
            Story::Offline => (6 * HOUR + 40 * MINUTE, 9 * HOUR),
            Story::ExchangeLost => (2 * HOUR + 11 * MINUTE, 26 * HOUR),
            Story::UpdatesHeld | Story::Uneventful => return None,
        };
        let before = self.chance.named("story").between(before / 2, before * 2);
        (self.story == story).then_some(Episode { from: self.start - before, until: self.start + after })
    }
}

/// When a device of this part was enrolled; the successor of a replaced device came the day after.
pub(in crate::sim) fn enrolled(part: Part, has_predecessor: bool, start: i64, draw: Chance) -> i64 {
    match part {
        Part::NeverSignedIn => start - draw.between(2 * DAY, 3 * DAY),
        Part::Core if has_predecessor => start - REPLACED_BEFORE + DAY,
        Part::Replaced(_) => start - draw.between(1_000 * DAY, 1_200 * DAY),
        _ => start - draw.between(200 * DAY, 1_000 * DAY),
    }
}

/// The model of a device; consoles and panels come from whom they come from.
pub(in crate::sim) fn model(kind: DeviceType, draw: Chance) -> &'static Model {
    match kind {
        DeviceType::TeamsRoom => draw.pick(&hardware::WINDOWS),
        DeviceType::SurfaceHub => draw.pick(&hardware::HUBS),
        DeviceType::CollaborationBar => draw.pick(&hardware::BARS),
        DeviceType::TouchConsole => draw.pick(&hardware::CONSOLES),
        DeviceType::TeamsPanel => draw.pick(&hardware::PANELS),
        DeviceType::IpPhone => draw.pick(&hardware::PHONES),
        DeviceType::TeamsDisplay => draw.pick(&hardware::DISPLAYS),
        DeviceType::Sip => draw.pick(&hardware::SIP_PHONES),
    }
}
