//! Device series: each function writes the samples of one device in one family.

use std::sync::Arc;

use crate::metrics::Out;
use crate::model::State;
use crate::model::detail::{Connection, Detail, Link, Login, Peripheral, Software};
use crate::model::fleet::{Fleet, FleetDevice, FleetRoom};

pub fn info<'f>(out: &mut Out<'_>, fleet: &Fleet<'f>, device: &FleetDevice<'f>) {
    let (facts, room) = (device.device, fleet.room_of(device));
    let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
    let extra = [
        ("room_id", device.room.map_or("", |room| &room.id)),
        ("device_type", facts.device_type.label()),
        ("role", device.role().label()),
        ("manufacturer", fleet.manufacturer(device)),
        ("model", fleet.model(device)),
        ("serial_number", &text(&facts.serial_number)),
        ("asset_tag", &text(&facts.asset_tag)),
        ("building", room.and_then(FleetRoom::building).unwrap_or_default()),
        ("floor", room.and_then(FleetRoom::floor).unwrap_or_default()),
        ("site", room.and_then(|room| room.site).map_or("", |site| &site.name)),
        ("owner", room.and_then(FleetRoom::owner).unwrap_or_default()),
    ];
    out.with(&extra, true);
}

pub fn health(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    out.states(device.device.health);
}

pub fn health_since(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    let memory = device.memory.filter(|memory| memory.health == Some(device.device.health));
    out.known(memory.and_then(|memory| memory.health_since));
}

pub fn activity(out: &mut Out<'_>, fleet: &Fleet<'_>, device: &FleetDevice<'_>) {
    if let Some(activity) = fleet.activity(device) {
        out.states(activity);
    }
}

pub fn signed_in(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    out.value(device.device.account.is_some());
}

pub fn superseded(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    out.value(device.superseded);
}

pub fn created(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    out.known(device.device.created);
}

pub fn last_modified(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    out.known(device.device.last_modified);
}

pub fn changes(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    out.counted_since(device.memory.and_then(|memory| memory.counted_since));
    for (signal, changes) in device.memory.iter().flat_map(|memory| memory.changes()) {
        out.with(&[("signal", signal.label())], changes);
    }
}

pub fn connected(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    out.known(device.detail().and_then(|detail| detail.connection.connected));
}

pub fn connection_changed(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    out.known(device.detail().and_then(|detail| device.since(Link::Connection, detail.connection)));
}

pub fn detail_read(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    out.known(device.reading.map(|reading| reading.read_at));
}

pub fn login(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    for (login, connection) in logins(device) {
        out.known_with(&[("login", login.label())], connection.connected);
    }
}

pub fn login_changed(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    for (login, connection) in logins(device) {
        let changed = device.since(Link::Login(*login), *connection);
        out.known_with(&[("login", login.label())], changed);
    }
}

pub fn peripheral(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    for peripheral in peripherals(device) {
        out.known_with(&[("peripheral", &peripheral.slot.label())], peripheral.connection.connected);
    }
}

pub fn peripheral_optional(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    for peripheral in peripherals(device) {
        out.known_with(&[("peripheral", &peripheral.slot.label())], peripheral.optional);
    }
}

pub fn peripheral_changed(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    for peripheral in peripherals(device) {
        let changed = device.since(Link::Peripheral(peripheral.slot), peripheral.connection);
        out.known_with(&[("peripheral", &peripheral.slot.label())], changed);
    }
}

pub fn peripheral_info(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    for peripheral in peripherals(device) {
        let Some(product) = &peripheral.product else { continue };
        let extra = [
            ("peripheral", &*peripheral.slot.label()),
            ("product", &*product.name),
            ("vendor_id", product.vendor_id.as_deref().unwrap_or_default()),
            ("product_id", product.product_id.as_deref().unwrap_or_default()),
        ];
        out.with(&extra, true);
    }
}

pub fn software_info(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    for software in software(device) {
        let extra = [
            ("software", software.kind.label()),
            ("current_version", software.current.as_deref().unwrap_or_default()),
            ("available_version", software.available.as_deref().unwrap_or_default()),
        ];
        out.with(&extra, true);
    }
}

pub fn update_available(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    for software in software(device) {
        out.known_with(&[("software", software.kind.label())], software.update_available);
    }
}

pub fn version_gap<'f>(out: &mut Out<'_>, fleet: &Fleet<'f>, device: &FleetDevice<'f>) {
    for software in software(device) {
        out.known_with(&[("software", software.kind.label())], fleet.version_gap(device, software));
    }
}

pub fn pending_since(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    for software in software(device) {
        let memory = device.memory.and_then(|memory| memory.software(software.kind));
        out.known_with(
            &[("software", software.kind.label())],
            memory.and_then(|memory| memory.pending_since),
        );
    }
}

pub fn software_changed(out: &mut Out<'_>, _: &Fleet<'_>, device: &FleetDevice<'_>) {
    for software in software(device) {
        let memory = device.memory.and_then(|memory| memory.software(software.kind));
        out.known_with(&[("software", software.kind.label())], memory.and_then(|memory| memory.changed));
    }
}

fn logins<'a>(device: &FleetDevice<'a>) -> impl Iterator<Item = &'a (Login, Connection)> {
    detail(device).flat_map(|detail| &detail.logins)
}

fn peripherals<'a>(device: &FleetDevice<'a>) -> impl Iterator<Item = &'a Peripheral> {
    detail(device).flat_map(|detail| &detail.peripherals)
}

fn software<'a>(device: &FleetDevice<'a>) -> impl Iterator<Item = &'a Software> {
    detail(device).flat_map(|detail| &detail.software)
}

fn detail<'a>(device: &FleetDevice<'a>) -> impl Iterator<Item = &'a Detail> {
    device.detail().into_iter()
}
