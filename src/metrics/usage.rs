//! Time counted of rooms: each function writes the samples of one room in one family.

use crate::metrics::Out;
use crate::model::State;
use crate::model::fleet::{Fleet, FleetRoom};
use crate::model::room::Judgement;
use crate::model::usage::{Seconds, Totals};

pub fn states(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    out.counted_since(room.totals.and_then(|totals| totals.began));
    for (state, seconds) in room.totals.into_iter().flat_map(Totals::states) {
        by_hours(out, &[("state", state.label())], seconds);
    }
}

pub fn observed(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    total(out, room, |totals| totals.observed);
}

pub fn booked(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    total(out, room, |totals| totals.booked);
}

pub fn in_use(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    total(out, room, |totals| totals.in_use);
}

pub fn booked_unused(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    total(out, room, |totals| totals.booked_unused);
}

pub fn unbooked_use(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    total(out, room, |totals| totals.unbooked_use);
}

/// A counter of the use of a room, where that may be known.
fn total(out: &mut Out<'_>, room: &FleetRoom<'_>, of: fn(&Totals) -> Option<Seconds>) {
    out.counted_since(room.totals.and_then(|totals| totals.began));
    if let Some(seconds) = room.totals.filter(|_| room.may_observe).and_then(of) {
        by_hours(out, &[], seconds);
    }
}

fn by_hours(out: &mut Out<'_>, extra: &[(&str, &str)], seconds: Seconds) {
    out.with(&[extra, &[("hours", "service")]].concat(), seconds.service);
    out.with(&[extra, &[("hours", "other")]].concat(), seconds.other);
}
