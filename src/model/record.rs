//! Records that age by themselves: what one source said of one thing, and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// The records of one source, by the id of what they describe.
pub type Records<T> = BTreeMap<Arc<str>, Record<T>>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<T> {
    pub value: Arc<T>,
    pub read_at: Timestamp,
}

impl<T> Record<T> {
    pub fn new(value: T, read_at: Timestamp) -> Self {
        Self { value: Arc::new(value), read_at }
    }
}
