//! Series of the incidents that Microsoft's portals pushed.

use std::collections::BTreeMap;

use crate::metrics::Out;
use crate::model::fleet::{Fleet, FleetRoom};
use crate::model::incident::{Severity, Signal};
use crate::model::room::Judgement;
use crate::model::{Snapshot, State, Timestamp};

pub fn open(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    for ((signal, severity), opened) in by_kind(room) {
        out.with(&labels(signal, severity), opened.len());
    }
}

pub fn opened(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    for ((signal, severity), opened) in by_kind(room) {
        out.known_with(&labels(signal, severity), opened.into_iter().min());
    }
}

/// Of the whole tenant; where nothing was ever pushed there is nothing to count.
pub fn without_room(out: &mut Out<'_>, fleet: &Fleet<'_>, snapshot: &Snapshot, _: Timestamp) {
    if snapshot.incidents.last_received().next().is_some() {
        out.value(fleet.incidents_without_room);
    }
}

pub fn last_received(out: &mut Out<'_>, _: &Fleet<'_>, snapshot: &Snapshot, _: Timestamp) {
    for (reporter, at) in snapshot.incidents.last_received() {
        out.with(&[("intake", reporter.label())], at);
    }
}

/// When the open ones began; those of which all are closed have none.
fn by_kind(room: &FleetRoom<'_>) -> BTreeMap<(Signal, Severity), Vec<Timestamp>> {
    let mut kinds: BTreeMap<_, Vec<Timestamp>> = BTreeMap::new();
    for incident in room.incidents.iter().map(|one| one.incident) {
        let opened = kinds.entry((incident.signal, incident.severity)).or_default();
        opened.extend(incident.is_open().then_some(incident.opened));
    }
    kinds
}

fn labels(signal: Signal, severity: Severity) -> [(&'static str, &'static str); 2] {
    [("incident_signal", signal.label()), ("incident_severity", severity.label())]
}
