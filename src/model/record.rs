//! Records that age by themselves: what one source said of one thing, and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

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

/// Brings readings from the future, of a clock that was set back, to `now`.
pub fn not_after<T>(records: &mut Arc<Records<T>>, now: Timestamp) {
    if records.values().any(|record| record.read_at > now) {
        for record in Arc::make_mut(records).values_mut() {
            record.read_at = record.read_at.min(now);
        }
    }
}
