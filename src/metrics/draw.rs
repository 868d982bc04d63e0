//! Draws the families of a view, each beside what was drawn of it before: what did not change is not written again.

use std::sync::Arc;

use super::catalogue::{Family, Source};
use super::roster::{Changes, Entity, Roster};
use super::segment::{Cutter, Segment};
use super::{Entry, Holder, Out, Sink, View};
use crate::model::State as _;
use crate::model::fleet::{Prints, print};

/// Whose series a family has.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Device,
    Room,
    /// Of a room, with the time counted: it changes at every look, the rest of a room seldom.
    RoomTime,
    ManagedDevice,
    Tenant,
    Collector,
}

/// One of each [`Whose`].
const KINDS: usize = 6;

/// Draws one view.
pub struct Drawing<'v, 'a> {
    view: &'v View<'a>,
    rosters: [Arc<Roster>; KINDS],
    /// Since an older roster of each kind. Families of one kind were mostly drawn together.
    changes: [Option<(Arc<Roster>, Changes)>; KINDS],
    cutter: Cutter,
}

impl<'v, 'a> Drawing<'v, 'a> {
    pub fn new(view: &'v View<'a>) -> Self {
        let rosters = rosters(view).map(Arc::new);
        Self { view, rosters, changes: Default::default(), cutter: Cutter::default() }
    }

    /// The series of a family; none where those of `previous` are still right.
    pub fn draw(&mut self, family: &Family, previous: &Segment) -> Option<Segment> {
        let whose = Whose::of(family.source)? as usize;
        let (roster, changes) = (self.rosters.get(whose)?, self.changes.get_mut(whose)?);
        let old = previous.roster();
        if changes.as_ref().is_none_or(|(since, _)| !Arc::ptr_eq(since, old)) {
            *changes = Some((Arc::clone(old), Changes::between(old, roster)));
        }
        let (_, changes) = changes.as_ref()?;
        if changes.is_none() {
            return None;
        }
        let (view, name) = (self.view, family.name);
        Some(self.cutter.cut(previous, roster, changes, &mut |place, lines| {
            view.visit(family, place, |labels, write| {
                write(&mut Out { name, sink: Sink::Text { lines, labels } });
            });
        }))
    }
}

impl Whose {
    fn of(source: Source) -> Option<Self> {
        match source {
            Source::Device(..) => Some(Self::Device),
            Source::Room(..) | Source::Pushed(_) => Some(Self::Room),
            Source::RoomTime(..) => Some(Self::RoomTime),
            Source::Managed(_) => Some(Self::ManagedDevice),
            Source::Tenant(..) => Some(Self::Tenant),
            Source::Collector(_) => Some(Self::Collector),
            Source::Exporter | Source::About(_) => None,
        }
    }
}

/// By [`Whose`].
fn rosters(view: &View<'_>) -> [Roster; KINDS] {
    let View { fleet, snapshot, buckets, .. } = view;
    let prints = Prints::of(fleet, &view.judgements);
    let device =
        |index: usize| Some(entity(&fleet.devices.get(index)?.device.id, *prints.devices.get(index)?));
    let room = |index: usize| Some(entity(&fleet.rooms.get(index)?.room.id, *prints.rooms.get(index)?));
    let time = |index: usize| Some(entity(&fleet.rooms.get(index)?.room.id, *prints.times.get(index)?));
    let managed = view.managed.iter().filter_map(|managed| {
        let holder = match managed.holder {
            Holder::Device(index) => device(index),
            Holder::Room(index) => room(index),
        };
        Some((managed.place, holder?))
    });
    // A source that changes says so in its status, and there are few of them.
    let unknown = |id: &str| Entity { id: print(id), print: None };
    [
        Roster::new(*buckets, placed(&view.devices, device)),
        Roster::new(*buckets, placed(&view.rooms, room)),
        Roster::new(*buckets, placed(&view.rooms, time)),
        Roster::new(*buckets, managed),
        Roster::of_one_bucket(vec![unknown(view.tenant)]),
        Roster::of_one_bucket(snapshot.status.keys().map(|collector| unknown(collector.label())).collect()),
    ]
}

fn placed<'e, L>(
    entries: &'e [Entry<L>],
    entity: impl Fn(usize) -> Option<Entity> + 'e,
) -> impl Iterator<Item = (u32, Entity)> + 'e {
    entries.iter().filter_map(move |entry| Some((entry.place, entity(entry.index)?)))
}

fn entity(id: &str, of: u64) -> Entity {
    Entity { id: print(id), print: Some(of) }
}
