//! Room series: each function writes the samples of one room in one family.

use crate::metrics::Out;
use crate::model::device::Role;
use crate::model::fleet::{Fleet, FleetRoom};
use crate::model::room::Judgement;
use crate::model::{Snapshot, State, Timestamp};

pub fn info(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    let extra = [
        ("email", room.room.email.as_deref().unwrap_or_default()),
        ("place_id", room.place.and_then(|place| place.place_id.as_deref()).unwrap_or_default()),
        ("building", room.building().unwrap_or_default()),
        ("floor", room.floor().unwrap_or_default()),
        ("city", room.city().unwrap_or_default()),
        ("country", room.country().unwrap_or_default()),
        ("site", room.site.map_or("", |site| &site.name)),
        ("owner", room.owner().unwrap_or_default()),
        ("tier", room.tier().unwrap_or_default()),
    ];
    out.with(&extra, true);
}

pub fn state(out: &mut Out<'_>, _: &Fleet<'_>, _: &FleetRoom<'_>, judgement: &Judgement) {
    out.states(judgement.state);
}

pub fn state_since(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, judgement: &Judgement) {
    let memory = room.memory.filter(|memory| memory.state == judgement.state);
    out.known(memory.and_then(|memory| memory.since));
}

pub fn up(out: &mut Out<'_>, _: &Fleet<'_>, _: &FleetRoom<'_>, judgement: &Judgement) {
    out.known(judgement.up());
}

pub fn source_up(out: &mut Out<'_>, _: &Fleet<'_>, _: &FleetRoom<'_>, judgement: &Judgement) {
    for vote in &judgement.votes {
        out.with(&[("source", vote.source.label())], vote.up);
    }
}

pub fn problem(out: &mut Out<'_>, _: &Fleet<'_>, _: &FleetRoom<'_>, judgement: &Judgement) {
    for problem in &judgement.problems {
        out.with(&[("problem", &problem.name), ("area", problem.area.label())], true);
    }
}

pub fn problem_since(out: &mut Out<'_>, _: &Fleet<'_>, _: &FleetRoom<'_>, judgement: &Judgement) {
    for problem in &judgement.problems {
        out.known_with(&[("problem", &problem.name), ("area", problem.area.label())], problem.since);
    }
}

pub fn in_use(out: &mut Out<'_>, fleet: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    out.known(fleet.in_use(room));
}

pub fn devices(out: &mut Out<'_>, fleet: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    for role in Role::ALL {
        let count = fleet.members(room).filter(|device| device.role() == *role && !device.superseded).count();
        out.with(&[("role", role.label())], count);
    }
}

pub fn in_service(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    out.value(room.in_service);
}

pub fn capacity(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    out.known(room.place.and_then(|place| place.capacity));
}

pub fn latitude(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    out.known(room.place.and_then(|place| place.coordinates).map(|(latitude, _)| latitude));
}

pub fn longitude(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    out.known(room.place.and_then(|place| place.coordinates).map(|(_, longitude)| longitude));
}

pub fn presence(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    if let Some((presence, _)) = room.presence {
        out.states(presence.availability);
    }
}

/// Of the whole tenant; where no device is known there is nothing to count.
pub fn devices_without_room(out: &mut Out<'_>, fleet: &Fleet<'_>, _: &Snapshot, _: Timestamp) {
    if fleet.devices.is_empty() {
        return;
    }
    let count = |has_account: bool| {
        let without = fleet.devices.iter().filter(|device| device.room.is_none());
        without.filter(|device| device.device.account.is_some() == has_account).count()
    };
    out.with(&[("reason", "signed_out")], count(false));
    out.with(&[("reason", "personal_account")], count(true));
}
