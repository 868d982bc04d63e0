//! Changes laid over the world by hand: members of the documents of a device or a room, and devices and users
//! deleted from the tenant.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use serde_json::{Map, Value};
use uuid::Uuid;

#[derive(Debug, Default)]
pub(super) struct Edits(RwLock<Changes>);

#[derive(Debug, Default)]
struct Changes {
    histories: HashMap<Uuid, History>,
    removed: HashSet<Uuid>,
}

/// The merge patches of one device or room by document name, each with when (simulated milliseconds) it was
/// made.
#[derive(Debug, Default)]
struct History {
    documents: HashMap<String, Vec<(Value, i64)>>,
}

/// More patches of one document than this melt into one: what a lagging report still waits for is recent.
const KEPT: usize = 64;

/// What the merge patches of one device or room add up to by document name, and when each was last changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Patch {
    documents: HashMap<String, (Value, i64)>,
}

impl Edits {
    /// Adds to what was edited before. `null` for a document, or for all of them, takes its edits back.
    pub(super) fn edit(&self, device: Uuid, patch: Value, now: i64) {
        let mut changes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Value::Object(documents) = patch else {
            changes.histories.remove(&device);
            return;
        };
        let edited = changes.histories.entry(device).or_default();
        for (name, patch) in documents {
            edited.lay(name, patch, now);
        }
    }

    pub(super) fn remove(&self, id: Uuid) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).removed.insert(id);
    }

    /// Takes every edit and removal back.
    pub(super) fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Changes::default();
    }

    pub(super) fn is_removed(&self, id: Uuid) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).removed.contains(&id)
    }

    /// What had been edited by a moment.
    pub(super) fn of(&self, device: Uuid, until: i64) -> Option<Patch> {
        let changes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(changes.histories.get(&device)?.until(until)).filter(|patch| !patch.documents.is_empty())
    }
}

impl History {
    fn lay(&mut self, document: String, patch: Value, now: i64) {
        if patch.is_null() {
            self.documents.remove(&document);
            return;
        }
        let laid = self.documents.entry(document).or_default();
        laid.push((patch, now));
        if laid.len() > KEPT {
            let earliest: Vec<(Value, i64)> = laid.drain(..2).collect();
            laid.splice(..0, sum(&earliest));
        }
    }

    fn until(&self, until: i64) -> Patch {
        let sums = self.documents.iter().filter_map(|(document, laid)| {
            let made = laid.partition_point(|(_, at)| *at <= until);
            Some((document.clone(), sum(laid.get(..made)?)?))
        });
        Patch { documents: sums.collect() }
    }
}

/// Patches laid one over the other, with the time of the last.
fn sum(laid: &[(Value, i64)]) -> Option<(Value, i64)> {
    let mut combined = Value::Object(Map::new());
    for (patch, _) in laid {
        combine(&mut combined, patch.clone());
    }
    laid.last().map(|(_, at)| (combined, *at))
}

impl Patch {
    /// When the document was last edited, if it was.
    pub(super) fn edited(&self, document: &str) -> Option<i64> {
        self.documents.get(document).map(|(_, at)| *at)
    }

    pub(super) fn apply(&self, document: &str, to: &mut Value) {
        if let Some((patch, _)) = self.documents.get(document) {
            merge(to, patch);
        }
    }
}

/// Two merge patches as one: like applying, but a `null` stays, because it still has something to delete.
fn combine(earlier: &mut Value, later: Value) {
    match (earlier, later) {
        (Value::Object(earlier), Value::Object(later)) => {
            for (name, value) in later {
                combine(earlier.entry(name).or_insert(Value::Null), value);
            }
        }
        (earlier, later) => *earlier = later,
    }
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(members) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(patches: &[Value], expected: &Value) {
        let (edits, id) = (Edits::default(), Uuid::nil());
        for patch in patches {
            edits.edit(id, patch.clone(), 7);
        }
        let mut document = json!({"a": 1, "b": {"c": 2, "d": [3]}});
        if let Some(patch) = edits.of(id, 7) {
            patch.apply("device", &mut document);
        }
        assert_eq!(document, *expected);
    }

    #[test]
    fn what_is_edited_later_does_not_show_yet() {
        let (edits, id) = (Edits::default(), Uuid::nil());
        for at in 0..200 {
            edits.edit(id, json!({"device": {"a": at}}), at);
        }
        for (until, expected) in [(150, Some(150)), (199, Some(199)), (999, Some(199)), (-1, None)] {
            let mut document = json!({});
            let patch = edits.of(id, until);
            if let Some(patch) = &patch {
                patch.apply("device", &mut document);
            }
            assert_eq!(document["a"].as_i64(), expected);
            assert_eq!(patch.and_then(|patch| patch.edited("device")), expected);
        }
    }

    #[test]
    fn patches_add_up_until_taken_back() {
        let plain = json!({"a": 1, "b": {"c": 2, "d": [3]}});
        check(&[], &plain);
        check(&[json!({"device": {"a": 5}})], &json!({"a": 5, "b": {"c": 2, "d": [3]}}));
        let both = [json!({"device": {"b": {"c": 5}}}), json!({"device": {"b": {"d": null}, "e": 1}})];
        check(&both, &json!({"a": 1, "b": {"c": 5}, "e": 1}));
        check(&[json!({"device": {"b": {"d": []}}})], &json!({"a": 1, "b": {"c": 2, "d": []}}));
        check(&[json!({"device": {"a": 5}}), json!({"device": null})], &plain);
        check(&[json!({"device": {"a": 5}}), json!(null)], &plain);
        check(&[json!({"health": {"a": 5}})], &plain);
    }
}
