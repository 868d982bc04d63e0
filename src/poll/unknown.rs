//! Values that nobody documents: each is counted, and logged once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::collectors::UnknownValue;
use crate::stats::TenantStats;

/// Strangers may send as many as they like.
const MAX_SEEN_VALUES: usize = 1000;

/// Those of one tenant.
pub struct UnknownValues {
    tenant: Arc<str>,
    stats: TenantStats,
    seen: Mutex<HashSet<UnknownValue>>,
}

impl UnknownValues {
    pub fn new(tenant: Arc<str>, stats: TenantStats) -> Self {
        Self { tenant, stats, seen: Mutex::default() }
    }

    pub fn report(&self, values: &[UnknownValue]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for value in values {
            self.stats.unknown_value(value.field);
            if seen.len() < MAX_SEEN_VALUES && seen.insert(value.clone()) {
                tracing::warn!(
                    tenant = &*self.tenant,
                    field = value.field,
                    value = value.value,
                    "Microsoft sends a value that it does not document; it reads as unknown"
                );
            }
        }
    }
}
