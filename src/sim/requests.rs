//! The record of every request the tenant received, for tests that hold the exporter to a list.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Enough for any test, small enough (some tens of megabytes) for a demonstration that runs for weeks.
const KEPT: usize = 100_000;

/// One request, or one item inside a `$batch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRequest {
    pub method: String,
    /// Path and query as received.
    pub path: String,
    pub host: String,
    /// The template of the operation, such as `/beta/teamwork/devices/{id}/health`; `unknown` for none.
    pub operation: String,
    /// 0 where no answer was given.
    pub status: u16,
    /// Whether the request (for an item: its envelope) had an `Authorization` header.
    pub authorization: bool,
    pub in_batch: bool,
}

#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<VecDeque<RecordedRequest>>);

impl Requests {
    /// Adds the requests in one go, so that an envelope is never seen without its items.
    pub(super) fn record(&self, requests: impl IntoIterator<Item = RecordedRequest>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(requests);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }

    pub(super) fn all(&self) -> Vec<RecordedRequest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many requests by method, operation and status.
    pub(super) fn counts(&self) -> BTreeMap<(String, String, u16), usize> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().fold(BTreeMap::new(), |mut counts, request| {
            let key = (request.method.clone(), request.operation.clone(), request.status);
            *counts.entry(key).or_default() += 1;
            counts
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_requests_are_forgotten_first() {
        let requests = Requests::default();
        let request = |path: usize| RecordedRequest {
            method: "GET".to_owned(),
            path: path.to_string(),
            host: String::new(),
            operation: "unknown".to_owned(),
            status: 404,
            authorization: false,
            in_batch: false,
        };
        requests.record((0..KEPT + 5).map(request));
        let kept = requests.all();
        assert_eq!((kept.len(), kept[0].path.as_str()), (KEPT, "5"));
    }
}
