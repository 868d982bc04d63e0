//! Series of the calendars: each function writes the samples of one room in one family.

use crate::metrics::Out;
use crate::model::calendar::{Booked, Calendar};
use crate::model::fleet::{Fleet, FleetRoom};
use crate::model::room::Judgement;

pub fn readable(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    out.known(room.calendar.map(|calendar| *calendar != Calendar::Refused));
}

pub fn booked(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    out.known(room.occupancy.map(|occupancy| occupancy.booked != Booked::Free));
}

pub fn booking_end(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    out.known(room.occupancy.and_then(|occupancy| occupancy.until));
}

pub fn next_booking(out: &mut Out<'_>, _: &Fleet<'_>, room: &FleetRoom<'_>, _: &Judgement) {
    out.known(room.occupancy.and_then(|occupancy| occupancy.next));
}
