//! Series of the collectors: how fresh each source is, and what is wrong with it.

use crate::metrics::Out;
use crate::model::collector::{Collector, CollectorState, Status};
use crate::model::fleet::Fleet;
use crate::model::{Snapshot, Timestamp};

/// Whether any source of room state is fresh.
pub fn up(out: &mut Out<'_>, fleet: &Fleet<'_>, snapshot: &Snapshot, now: Timestamp) {
    let telling = snapshot.status.iter().filter(|(collector, _)| collector.tells_room_state());
    let mut believed = telling.filter(|(collector, _)| !(fleet.frozen && **collector == Collector::Devices));
    out.value(believed.any(|(_, status)| status.is_fresh(now)));
}

pub fn state(out: &mut Out<'_>, status: &Status) {
    out.states(status.state);
}

pub fn success(out: &mut Out<'_>, status: &Status) {
    let paused = status.state == CollectorState::Paused && status.consecutive_failures == 0;
    out.value(status.state.is_success() || (paused && status.last_success.is_some()));
}

pub fn last_success(out: &mut Out<'_>, status: &Status) {
    out.known(status.last_success);
}

pub fn last_attempt(out: &mut Out<'_>, status: &Status) {
    out.known(status.last_attempt);
}

pub fn interval(out: &mut Out<'_>, status: &Status) {
    out.value(status.interval);
}

pub fn expiry(out: &mut Out<'_>, status: &Status) {
    out.value(status.expiry);
}

pub fn duration(out: &mut Out<'_>, status: &Status) {
    out.known(status.duration);
}

pub fn failures(out: &mut Out<'_>, status: &Status) {
    out.value(status.consecutive_failures);
}

pub fn items(out: &mut Out<'_>, status: &Status) {
    out.value(status.items);
}

pub fn expected(out: &mut Out<'_>, status: &Status) {
    out.known(status.expected_items);
}

pub fn missing(out: &mut Out<'_>, status: &Status) {
    out.value(status.missing_items);
}

pub fn held(out: &mut Out<'_>, status: &Status) {
    out.value(status.held_items);
}

pub fn skipped(out: &mut Out<'_>, status: &Status) {
    out.value(status.skipped_items);
}
