//! Series of Microsoft's own services: is Teams or Exchange itself in trouble.

use crate::metrics::Out;
use crate::model::collector::Collector;
use crate::model::fleet::Fleet;
use crate::model::service_health::ServiceHealth;
use crate::model::{Snapshot, Timestamp};

pub fn state(out: &mut Out<'_>, _: &Fleet<'_>, snapshot: &Snapshot, now: Timestamp) {
    for (product, health) in fresh(snapshot, now) {
        out.states_with(&[("product", product)], health.state);
    }
}

pub fn issues(out: &mut Out<'_>, _: &Fleet<'_>, snapshot: &Snapshot, now: Timestamp) {
    for (product, health) in fresh(snapshot, now) {
        out.with(&[("product", product), ("classification", "incident")], health.incidents);
        out.with(&[("product", product), ("classification", "advisory")], health.advisories);
    }
}

/// The products whose record has not expired.
fn fresh(snapshot: &Snapshot, now: Timestamp) -> impl Iterator<Item = (&str, &ServiceHealth)> {
    let expiry = snapshot.expiry(Collector::ServiceHealth);
    let records =
        snapshot.service_health.iter().filter(move |(_, record)| now.since(record.read_at) <= expiry);
    records.map(|(product, record)| (&**product, &*record.value))
}
