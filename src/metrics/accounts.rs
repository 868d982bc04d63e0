//! Series of room accounts and of the licences that the tenant has for them.

use crate::metrics::Out;
use crate::model::collector::Collector;
use crate::model::fleet::{Fleet, FleetRoom};
use crate::model::license::License;
use crate::model::room::Judgement;
use crate::model::{Snapshot, Timestamp};

pub fn enabled(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    out.known(room.account.and_then(|account| account.enabled));
}

pub fn license(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    if let Some(tier) = room.account.and_then(|account| account.license) {
        out.states(tier);
    }
}

pub fn units(out: &mut Out<'_>, _: &Fleet<'_>, snapshot: &Snapshot, now: Timestamp) {
    for (sku, license) in fresh(snapshot, now) {
        for (state, units) in [
            ("enabled", license.enabled),
            ("warning", license.warning),
            ("suspended", license.suspended),
            ("locked_out", license.locked_out),
        ] {
            out.known_with(&[("sku", sku), ("state", state)], units);
        }
    }
}

pub fn consumed(out: &mut Out<'_>, _: &Fleet<'_>, snapshot: &Snapshot, now: Timestamp) {
    for (sku, license) in fresh(snapshot, now) {
        out.known_with(&[("sku", sku)], license.consumed);
    }
}

pub fn renewal(out: &mut Out<'_>, _: &Fleet<'_>, snapshot: &Snapshot, now: Timestamp) {
    let expiry = snapshot.expiry(Collector::Accounts);
    for (sku, license) in fresh(snapshot, now) {
        let renewal = license.renewal.filter(|renewal| now.since(renewal.read_at) <= expiry);
        out.known_with(&[("sku", sku)], renewal.map(|renewal| renewal.at));
    }
}

/// The licences whose record has not expired.
fn fresh(snapshot: &Snapshot, now: Timestamp) -> impl Iterator<Item = (&str, &License)> {
    let expiry = snapshot.expiry(Collector::Accounts);
    let records = snapshot.licenses.iter().filter(move |(_, record)| now.since(record.read_at) <= expiry);
    records.map(|(sku, record)| (&**sku, &*record.value))
}
