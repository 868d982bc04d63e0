//! Records that age by themselves: what one source said of one thing, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::model::listing::{Falls, Settled, is_sudden};

/// The records of one source, by the id of what they describe.
pub type Records<T> = BTreeMap<Arc<str>, Record<T>>;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<T> {
    pub value: Arc<T>,
    pub read_at: Timestamp,
}

impl<T> Record<T> {
    pub fn new(value: T, read_at: Timestamp) -> Self {
        Self { value: Arc::new(value), read_at }
    }
}

impl<T> Clone for Record<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), read_at: self.read_at }
    }
}

/// When the youngest of the records was read.
pub fn last_read<T>(records: &Records<T>) -> Option<Timestamp> {
    records.values().map(|record| record.read_at).max()
}

/// Ends a complete listing that had `seen`: what it lacks leaves, or is held while a sudden fall is not confirmed. A listing
/// with nothing in it takes nothing away.
pub fn settle<T>(records: &mut Arc<Records<T>>, seen: &BTreeSet<Arc<str>>, falls: &mut Falls) -> Settled {
    let mut missed = lacking(records, seen);
    settle_confirmed(records, seen, &mut missed, falls)
}

/// The same where a single listing can lack what is there: what leaves is also among those that the last one `missed`.
pub fn settle_confirmed<T>(
    records: &mut Arc<Records<T>>,
    seen: &BTreeSet<Arc<str>>,
    missed: &mut BTreeSet<Arc<str>>,
    falls: &mut Falls,
) -> Settled {
    if seen.is_empty() {
        return Settled::default();
    }
    let missing = lacking(records, seen);
    let believed = falls.believe(is_sudden(missing.len(), records.len()));
    let gone: Vec<Arc<str>> = missing.intersection(missed).filter(|_| believed).cloned().collect();
    if !gone.is_empty() {
        Arc::make_mut(records).retain(|id, _| gone.binary_search(id).is_err());
    }
    let held = missing.len() - gone.len();
    *missed = missing;
    Settled { removed: gone, held }
}

fn lacking<T>(records: &Records<T>, seen: &BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
    records.keys().filter(|id| !seen.contains(*id)).cloned().collect()
}

/// What is held under an old id goes to another, unless that one has something younger.
pub fn rename<T>(records: &mut Arc<Records<T>>, old: &str, id: &Arc<str>) {
    if !records.contains_key(old) {
        return;
    }
    let records = Arc::make_mut(records);
    if let Some(record) = records.remove(old)
        && records.get(id).is_none_or(|held| held.read_at < record.read_at)
    {
        records.insert(id.clone(), record);
    }
}

/// Brings readings from the future, of a clock that was set back, to `now`.
pub fn not_after<T>(records: &mut Arc<Records<T>>, now: Timestamp) {
    if records.values().any(|record| record.read_at > now) {
        for record in Arc::make_mut(records).values_mut() {
            record.read_at = record.read_at.min(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: u32) -> Arc<Records<u32>> {
        let record = |n: u32| (id(n), Record::new(n, Timestamp::from_seconds(i64::from(n))));
        Arc::new((0..count).map(record).collect())
    }

    fn id(n: u32) -> Arc<str> {
        format!("room-{n:03}").into()
    }

    #[track_caller]
    fn check(held: &mut Arc<Records<u32>>, falls: &mut Falls, seen: u32, left: usize, held_items: usize) {
        let settled = settle(held, &(0..seen).map(id).collect(), falls);
        assert_eq!((held.len(), settled.held), (left, held_items), "{seen} seen");
    }

    #[test]
    fn what_a_listing_lacks_leaves_at_once_or_after_three_listings() {
        let (mut held, mut falls) = (records(100), Falls::default());
        check(&mut held, &mut falls, 90, 90, 0);
        check(&mut held, &mut falls, 60, 90, 30);
        check(&mut held, &mut falls, 60, 90, 30);
        check(&mut held, &mut falls, 90, 90, 0);
        check(&mut held, &mut falls, 60, 90, 30);
        check(&mut held, &mut falls, 61, 90, 29);
        check(&mut held, &mut falls, 61, 61, 0);
        for _ in 0..5 {
            check(&mut held, &mut falls, 0, 61, 0);
        }
    }

    #[test]
    fn the_youngest_record_tells_when_a_source_was_read() {
        assert_eq!(last_read(&records(3)), Some(Timestamp::from_seconds(2)));
        assert_eq!(last_read(&records(0)), None);
    }

    #[test]
    fn a_reading_from_the_future_was_read_now() {
        let at =
            |held: &Records<u32>| held.values().map(|record| record.read_at.seconds()).collect::<Vec<_>>();
        let mut held = records(4);
        not_after(&mut held, Timestamp::from_seconds(2));
        assert_eq!(at(&held), [0, 1, 2, 2]);
        let shared = Arc::clone(&held);
        not_after(&mut held, Timestamp::from_seconds(2));
        assert!(Arc::ptr_eq(&shared, &held), "nothing is copied for nothing");
    }

    #[test]
    fn of_two_records_of_one_age_the_one_that_is_there_stays() {
        let mut held = records(2);
        Arc::make_mut(&mut held).insert("new".into(), Record::new(99, Timestamp::from_seconds(1)));
        rename(&mut held, "room-001", &"new".into());
        assert_eq!((*held["new"].value, held.len()), (99, 2));
    }

    #[test]
    fn a_record_follows_its_room_and_the_younger_one_stays() {
        let mut held = records(3);
        rename(&mut held, "room-001", &"new".into());
        rename(&mut held, "room-000", &"room-002".into());
        rename(&mut held, "nobody", &"new".into());
        let left: Vec<_> = held.iter().map(|(id, record)| (&**id, *record.value)).collect();
        assert_eq!(left, [("new", 1), ("room-002", 2)]);
    }
}
