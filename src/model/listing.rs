//! The list of devices: how pages and whole listings change what is held.
//!
//! A device disappears only after a complete listing of its type without it, and a sudden fall must be seen
//! three times in a row: a half answer from Graph must not read as rooms that were taken down. [`Falls`] is that
//! rule for every source that lists.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::model::device::{Device, DeviceType, Role};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    pub rows: BTreeMap<Arc<str>, Row>,
    falls: Falls,
}

/// Complete listings in a row that fell too far to be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Falls(u8);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub device: Arc<Device>,
    pub seen_at: Timestamp,
}

/// What one listing brought, apart from its rows.
#[derive(Debug, Default)]
pub struct Census {
    pub seen: HashSet<Arc<str>>,
    /// The types that were asked for.
    pub asked: Vec<DeviceType>,
    /// The types whose listing ended; others broke off and lose nothing.
    pub complete: Vec<DeviceType>,
}

/// What [`Listing::settle`] did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    pub removed: Vec<Arc<str>>,
    /// Devices that were missing but are kept until the fall is confirmed.
    pub held: usize,
}

/// A fall counts as sudden above this share of the devices held ...
const FALL_PERCENT: usize = 20;
/// ... and above this number, so that a small fleet may lose one without delay.
const FALL_ITEMS: usize = 10;
/// Whether a fleet stands still is judged from this many core devices on: in a small one a quiet day is likely.
const FROZEN_MIN_DEVICES: usize = 10;
/// A time that lies further ahead than another machine's clock may be wrong is no time.
const CLOCK_ERROR: Duration = Duration::from_hours(24);

/// A sudden fall is believed after this many complete listings in a row.
const FALL_LISTINGS: u8 = 3;

impl Census {
    /// Whether a device of this type that was not seen is gone: its type was listed to the end, or everything was
    /// listed to the end and its type is none that is asked for.
    fn covers(&self, device_type: DeviceType) -> bool {
        let all = self.asked.iter().all(|asked| self.complete.contains(asked));
        self.complete.contains(&device_type) || (all && !self.asked.contains(&device_type))
    }
}

impl Falls {
    /// Whether a complete listing is believed about what it lacks.
    pub fn believe(&mut self, sudden: bool) -> bool {
        self.0 = if sudden { self.0 + 1 } else { 0 };
        let believed = !sudden || self.0 >= FALL_LISTINGS;
        if believed {
            self.0 = 0;
        }
        believed
    }
}

/// Whether so many missing of those held are more than usual life takes away at once.
pub fn is_sudden(missing: usize, held: usize) -> bool {
    missing > FALL_ITEMS && missing * 100 > held * FALL_PERCENT
}

impl Listing {
    /// Takes one page of devices, seen at `now`.
    pub fn take(&mut self, devices: &[Arc<Device>], now: Timestamp) {
        for device in devices {
            match self.rows.get_mut(&device.id) {
                Some(row) if row.device == *device => row.seen_at = now,
                _ => {
                    self.rows.insert(device.id.clone(), Row { device: device.clone(), seen_at: now });
                }
            }
        }
    }

    /// The devices of a page that are held already, or that there is room for.
    pub fn within(&self, devices: &[Arc<Device>], most: usize) -> Vec<Arc<Device>> {
        let mut left = most.saturating_sub(self.rows.len());
        let mut fits = |device: &&Arc<Device>| {
            let is_new = !self.rows.contains_key(&device.id);
            let fits = !is_new || left > 0;
            left -= usize::from(is_new && fits);
            fits
        };
        devices.iter().filter(|device| fits(device)).cloned().collect()
    }

    /// Replaces what is held of listed devices.
    pub fn replace(&mut self, devices: &[Arc<Device>]) {
        for device in devices {
            if let Some(row) = self.rows.get_mut(&device.id) {
                row.device = device.clone();
            }
        }
    }

    /// Ends a listing: drops what a complete type no longer lists, or holds it while the fall is not confirmed.
    pub fn settle(&mut self, census: &Census) -> Settled {
        if census.seen.is_empty() {
            return Settled::default();
        }
        let covered = |row: &&Row| census.covers(row.device.device_type);
        let held_before = self.rows.values().filter(covered).count();
        let missing: HashSet<Arc<str>> = self
            .rows
            .values()
            .filter(covered)
            .filter(|row| !census.seen.contains(&row.device.id))
            .map(|row| row.device.id.clone())
            .collect();
        let sudden = is_sudden(missing.len(), held_before) || self.loses_a_type(census);
        if !self.falls.believe(sudden) {
            return Settled { removed: Vec::new(), held: missing.len() };
        }
        self.rows.retain(|id, _| !missing.contains(id));
        Settled { removed: missing.into_iter().collect(), held: 0 }
    }

    /// When a core device last changed, where there are enough to tell whether the fleet stands still: data that nobody
    /// writes any more still look healthy.
    pub fn last_change(&self, now: Timestamp) -> Option<Timestamp> {
        let core = || {
            self.rows.values().map(|row| &row.device).filter(|device| device.device_type.role() == Role::Core)
        };
        let times =
            core().filter_map(|device| device.last_modified).filter(|time| *time <= now.plus(CLOCK_ERROR));
        times.max().filter(|_| core().count() >= FROZEN_MIN_DEVICES)
    }

    /// Whether a type of which several devices are held came back empty, as when Graph fails without saying so.
    fn loses_a_type(&self, census: &Census) -> bool {
        census.complete.iter().any(|device_type| {
            let held = || self.rows.values().filter(|row| row.device.device_type == *device_type);
            held().count() > 1 && held().all(|row| !census.seen.contains(&row.device.id))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::device::{Account, Activity, Health};

    const NOW: Timestamp = Timestamp::from_seconds(1_795_244_591);

    pub(crate) fn device(id: &str, device_type: DeviceType) -> Arc<Device> {
        Arc::new(Device {
            id: id.into(),
            device_type,
            manufacturer: None,
            model: None,
            serial_number: None,
            asset_tag: None,
            health: Health::Healthy,
            activity: Activity::Idle,
            created: None,
            last_modified: None,
            account: None,
        })
    }

    /// A device that runs the meetings of a room, which is called like it.
    pub(crate) fn room_device(id: &str) -> Arc<Device> {
        let account = Account { id: None, name: None, email: Some(format!("{id}@contoso.example").into()) };
        Arc::new(Device { account: Some(account), ..(*device(id, DeviceType::TeamsRoom)).clone() })
    }

    fn rooms(count: usize) -> Vec<Arc<Device>> {
        (0..count).map(|n| device(&format!("room-{n:03}"), DeviceType::TeamsRoom)).collect()
    }

    fn list(listing: &mut Listing, devices: &[Arc<Device>], complete: &[DeviceType]) -> Settled {
        listing.take(devices, NOW);
        let seen = devices.iter().map(|device| device.id.clone()).collect();
        let asked = vec![DeviceType::TeamsRoom, DeviceType::TeamsPanel];
        listing.settle(&Census { seen, asked, complete: complete.to_vec() })
    }

    #[test]
    fn a_device_leaves_with_the_first_complete_listing_without_it() {
        let mut listing = Listing::default();
        list(&mut listing, &rooms(20), &[DeviceType::TeamsRoom]);
        let settled = list(&mut listing, &rooms(19), &[DeviceType::TeamsRoom]);
        assert_eq!(settled, Settled { removed: vec!["room-019".into()], held: 0 });
        assert_eq!(listing.rows.len(), 19);
    }

    #[test]
    fn a_type_that_is_not_listed_holds_no_other_back() {
        let mut listing = Listing::default();
        let panels = ["p1", "p2"].map(|id| device(id, DeviceType::TeamsPanel));
        list(&mut listing, &[&rooms(3)[..], &panels].concat(), &[DeviceType::TeamsRoom]);
        let settled = list(&mut listing, &rooms(2), &[DeviceType::TeamsRoom]);
        assert_eq!(settled, Settled { removed: vec!["room-002".into()], held: 0 });
    }

    #[test]
    fn a_device_that_is_as_before_keeps_its_place_in_memory() {
        let mut listing = Listing::default();
        listing.take(&rooms(1), NOW);
        let before = listing.rows["room-000"].device.clone();
        listing.take(&rooms(1), NOW.plus(Duration::from_secs(1)));
        let Row { device, seen_at } = &listing.rows["room-000"];
        assert!(Arc::ptr_eq(device, &before) && *seen_at > NOW);
    }

    #[test]
    fn a_listing_that_broke_off_removes_nothing() {
        let mut listing = Listing::default();
        list(&mut listing, &rooms(20), &[DeviceType::TeamsRoom]);
        assert_eq!(list(&mut listing, &rooms(5), &[DeviceType::TeamsPanel]), Settled::default());
        assert_eq!(listing.rows.len(), 20);
    }

    #[test]
    fn a_device_of_a_type_that_nobody_asks_for_leaves_with_the_first_whole_listing() {
        let mut listing = Listing::default();
        let stranger = device("stranger", DeviceType::Unknown);
        let all = [DeviceType::TeamsRoom, DeviceType::TeamsPanel];
        list(&mut listing, &[rooms(5), vec![stranger]].concat(), &all);
        list(&mut listing, &rooms(5), &[DeviceType::TeamsRoom]);
        assert_eq!(listing.rows.len(), 6);
        list(&mut listing, &rooms(5), &all);
        assert_eq!(listing.rows.len(), 5);
    }

    #[track_caller]
    fn check_last_change(device_type: DeviceType, times: &[Option<i64>], expected: Option<i64>) {
        let devices = (0..).zip(times).map(|(n, time)| {
            let last_modified = time.map(Timestamp::from_seconds);
            Arc::new(Device { last_modified, ..(*device(&format!("d{n}"), device_type)).clone() })
        });
        let mut listing = Listing::default();
        listing.take(&devices.collect::<Vec<_>>(), NOW);
        let found = listing.last_change(Timestamp::from_seconds(100_000)).map(Timestamp::seconds);
        assert_eq!(found, expected, "{times:?}");
    }

    #[test]
    fn the_last_change_of_a_large_fleet_is_that_of_its_newest_core_device() {
        check_last_change(DeviceType::TeamsRoom, &[Some(100); 10], Some(100));
        check_last_change(DeviceType::TeamsRoom, &[Some(100); 9], None);
        check_last_change(DeviceType::TeamsPanel, &[Some(100); 20], None);
        let odd = |odd| [vec![Some(100); 10], vec![odd]].concat();
        check_last_change(DeviceType::TeamsRoom, &odd(Some(20_000)), Some(20_000));
        check_last_change(DeviceType::TeamsRoom, &odd(None), Some(100));
        check_last_change(DeviceType::TeamsRoom, &odd(Some(9_000_000)), Some(100));
    }

    #[test]
    fn a_sudden_fall_is_believed_at_the_third_listing() {
        let mut listing = Listing::default();
        list(&mut listing, &rooms(50), &[DeviceType::TeamsRoom]);
        for _ in 0..2 {
            assert_eq!(list(&mut listing, &rooms(30), &[DeviceType::TeamsRoom]).held, 20);
            assert_eq!(listing.rows.len(), 50);
        }
        assert_eq!(list(&mut listing, &rooms(30), &[DeviceType::TeamsRoom]).removed.len(), 20);
        assert_eq!(listing.rows.len(), 30);
    }

    #[test]
    fn a_fall_is_sudden_above_ten_and_a_fifth() {
        for (missing, held, sudden) in [
            (10, 12, false),
            (11, 12, true),
            (11, 54, true),
            (11, 55, false),
            (200, 1000, false),
            (201, 1000, true),
            (0, 0, false),
        ] {
            assert_eq!(is_sudden(missing, held), sudden, "{missing} of {held}");
        }
        let mut listing = Listing::default();
        list(&mut listing, &rooms(20), &[DeviceType::TeamsRoom]);
        assert_eq!(list(&mut listing, &rooms(9), &[DeviceType::TeamsRoom]).held, 11);
        assert_eq!(list(&mut listing, &rooms(10), &[DeviceType::TeamsRoom]).removed.len(), 10);
    }

    #[test]
    fn a_type_that_comes_back_empty_is_believed_at_the_third_listing() {
        let both = [DeviceType::TeamsRoom, DeviceType::TeamsPanel];
        let panels = ["a", "b"].map(|id| device(id, DeviceType::TeamsPanel));
        let mut listing = Listing::default();
        list(&mut listing, &[rooms(5), panels.to_vec()].concat(), &both);
        for _ in 0..2 {
            assert_eq!(list(&mut listing, &rooms(5), &both).held, 2);
        }
        assert_eq!(list(&mut listing, &rooms(5), &both).removed.len(), 2);
        list(&mut listing, &[rooms(5), vec![panels[0].clone()]].concat(), &both);
        assert_eq!(
            list(&mut listing, &rooms(5), &both).removed.len(),
            1,
            "the last one may leave without delay"
        );
    }

    #[test]
    fn a_recovery_between_two_falls_starts_the_count_again() {
        let mut listing = Listing::default();
        for count in [50, 30, 30, 50, 30, 30] {
            list(&mut listing, &rooms(count), &[DeviceType::TeamsRoom]);
        }
        assert_eq!(listing.rows.len(), 50);
    }

    #[test]
    fn nothing_at_all_removes_nothing_however_often() {
        let mut listing = Listing::default();
        list(&mut listing, &rooms(5), &[DeviceType::TeamsRoom]);
        for _ in 0..5 {
            assert_eq!(list(&mut listing, &[], &[DeviceType::TeamsRoom]), Settled::default());
        }
        assert_eq!(listing.rows.len(), 5);
    }
}
