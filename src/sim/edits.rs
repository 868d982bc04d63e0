//! Changes laid over the world by hand: members of a device's documents, and devices deleted from the tenant.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use serde_json::{Map, Value};
use uuid::Uuid;

#[derive(Debug, Default)]
pub(super) struct Edits(RwLock<Changes>);

#[derive(Debug, Default)]
struct Changes {
    patches: HashMap<Uuid, Patch>,
    removed: HashSet<Uuid>,
}

/// The merge patches of one device by document name, and when (simulated milliseconds) each was last changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Patch {
    documents: HashMap<String, (Value, i64)>,
}

impl Edits {
    /// Adds to what was edited before. `null` for a document, or for all of them, takes its edits back.
    pub(super) fn edit(&self, device: Uuid, patch: Value, now: i64) {
        let mut changes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Value::Object(documents) = patch else {
            changes.patches.remove(&device);
            return;
        };
        let edited = changes.patches.entry(device).or_default();
        for (name, patch) in documents {
            edited.lay(name, patch, now);
        }
    }

    pub(super) fn remove(&self, device: Uuid) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).removed.insert(device);
    }

    pub(super) fn is_removed(&self, device: Uuid) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).removed.contains(&device)
    }

    pub(super) fn of(&self, device: Uuid) -> Option<Patch> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).patches.get(&device).cloned()
    }
}

impl Patch {
    fn lay(&mut self, document: String, patch: Value, now: i64) {
        if patch.is_null() {
            self.documents.remove(&document);
            return;
        }
        let (laid, at) = self.documents.entry(document).or_insert_with(|| (Value::Object(Map::new()), now));
        combine(laid, patch);
        *at = now;
    }

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
        if let Some(patch) = edits.of(id) {
            patch.apply("device", &mut document);
        }
        assert_eq!(document, *expected);
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
