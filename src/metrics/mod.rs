//! Metrics: pure functions from a snapshot and `now` to families and their text.
//!
//! The [`catalogue`] names every family and the function that writes the samples of one entity; those functions are
//! in one file per noun. A [`View`] is everything they may look at. [`draw`] has written what changed since the last view:
//! of whom tells a [`roster`], and what is kept of it is a [`segment`] of [`block`]s, from which [`exposition`] makes answers.

pub mod accounts;
pub mod block;
pub mod calendar;
pub mod catalogue;
pub mod collectors;
pub mod credentials;
pub mod devices;
pub mod draw;
pub mod exporter;
pub mod exposition;
pub mod incidents;
pub mod intune;
pub mod points;
pub mod rooms;
pub mod roster;
pub mod segment;
pub mod service_health;
pub mod text;
pub mod usage;

use std::cell::OnceCell;
use std::time::Duration;

use crate::model::collector::Collector;
use crate::model::fleet::{Fleet, FleetDevice, FleetRoom};
use crate::model::identity::Room;
use crate::model::managed_device::ManagedDevice;
use crate::model::room::Judgement;
use crate::model::{Snapshot, State, Timestamp};
use catalogue::{Family, Source};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use points::{Attributes, Points};
use text::{Labels, Lines, Value};

/// Label pairs of an entity, in the form that its samples are written in.
pub trait OfPairs {
    fn of(pairs: &[(&str, &str)]) -> Self;
}

/// One tenant at one moment, joined and judged once for all families; `L` is the form of its labels.
pub struct View<'a, L = Labels> {
    tenant: &'a str,
    snapshot: &'a Snapshot,
    now: Timestamp,
    fleet: Fleet<'a>,
    /// On the rooms of the fleet.
    judgements: Vec<Option<Judgement>>,
    /// How many buckets the entities stand in; in their order they are written.
    buckets: usize,
    devices: Vec<Entry<L>>,
    rooms: Vec<Entry<L>>,
    managed: Vec<Managed<'a, L>>,
}

/// A device or a room of the fleet.
struct Entry<L> {
    /// Among those of the fleet.
    index: usize,
    /// Its place among all.
    place: u32,
    /// Made when they are first needed: most entities are as they were, and nothing is written of them.
    labels: OnceCell<L>,
}

/// A device that Intune manages: one of the fleet, or one that only the account of a room tells to be its own.
struct Managed<'a, L> {
    holder: Holder,
    /// Its place among all.
    place: u32,
    labels: L,
    device: &'a ManagedDevice,
}

/// Whose a managed device is, by its index in the fleet.
#[derive(Clone, Copy)]
enum Holder {
    Device(usize),
    Room(usize),
}

/// Writes the samples of one entity.
type Write<'w> = dyn Fn(&mut Out<'_>) + 'w;

impl<'a, L: OfPairs> View<'a, L> {
    pub fn new(tenant: &'a str, snapshot: &'a Snapshot, now: Timestamp) -> Self {
        let fleet = Fleet::at(snapshot, now);
        let judgements = fleet.judgements();
        let places = |device: &FleetDevice<'_>| device.is_own().then(|| device.place_among_all());
        let devices: Vec<Option<u32>> = fleet.devices.iter().map(places).collect();
        let places = |room: &FleetRoom<'_>| room.is_own().then(|| room.place_among_all());
        let rooms: Vec<Option<u32>> = fleet.rooms.iter().map(places).collect();
        let buckets = roster::buckets(devices.iter().flatten().count().max(rooms.iter().flatten().count()));
        let mut managed = managed(tenant, &fleet);
        managed.sort_by_key(|managed| roster::bucket_of(managed.place, buckets));
        let (devices, rooms) = (entries(&devices, buckets), entries(&rooms, buckets));
        Self { tenant, snapshot, now, fleet, judgements, buckets, devices, rooms, managed }
    }

    /// When this view ends by itself: a record expires, or the last success of a source does.
    pub fn until(&self) -> Option<Timestamp> {
        let successes = self.snapshot.status.values().filter(|status| status.is_fresh(self.now));
        let ends = successes.filter_map(|status| Some(status.last_success?.plus(status.expiry)));
        let ends = ends.map(|end| end.plus(Duration::from_secs(1)));
        let ends = ends.chain(self.tenant_records_until());
        let verdicts = self.judgements.iter().flatten().filter_map(|judgement| judgement.until);
        ends.chain(self.fleet.until).chain(verdicts).min()
    }

    /// The times at which the records of the tenant as a whole expire. A record is older than the last success if only a part
    /// of an attempt has failed. During a pause no attempt brings a new view.
    fn tenant_records_until(&self) -> impl Iterator<Item = Timestamp> {
        let Snapshot { licenses, service_health, credentials, .. } = self.snapshot;
        let renewals = licenses.values().filter_map(|record| Some(record.value.renewal?.read_at));
        let of_accounts = licenses.values().map(|record| record.read_at).chain(renewals);
        let of_health = service_health.values().map(|record| record.read_at);
        let of_credentials = credentials.values().map(|record| record.read_at);
        let read = of_accounts.map(|at| (Collector::Accounts, at));
        let read = read.chain(of_health.map(|at| (Collector::ServiceHealth, at)));
        let read = read.chain(of_credentials.map(|at| (Collector::Credentials, at)));
        let ends = read.map(|(collector, at)| at.plus(self.snapshot.expiry(collector)));
        ends.filter(|end| *end >= self.now).map(|end| end.plus(Duration::from_secs(1)))
    }

    /// How many entities a family may have series of.
    fn entities(&self, family: &Family) -> usize {
        match family.source {
            Source::Device(..) => self.devices.len(),
            Source::Room(..) | Source::RoomTime(..) | Source::Pushed(_) => self.rooms.len(),
            Source::Managed(_) => self.managed.len(),
            Source::Tenant(..) => 1,
            Source::Collector(_) => self.snapshot.status.len(),
            Source::Exporter | Source::About(_) => 0,
        }
    }

    /// Hands one entity of a family to `visit`: its labels and what writes its samples.
    fn visit(&self, family: &Family, place: usize, visit: impl FnOnce(&L, &Write<'_>)) {
        let visited = match family.source {
            Source::Device(_, write) => self.device(place).map(|(labels, device)| {
                visit(labels, &|out| write(out, &self.fleet, device));
            }),
            Source::Room(_, write) | Source::RoomTime(_, write) | Source::Pushed(write) => {
                self.room(place).map(|(labels, room, judgement)| {
                    visit(labels, &|out| write(out, &self.fleet, room, judgement));
                })
            }
            Source::Managed(write) => self.managed.get(place).map(|managed| {
                visit(&managed.labels, &|out| write(out, managed.device));
            }),
            // What a source says of the whole tenant is said once; the rest is about this process.
            Source::Tenant(Some(_), _) if !self.snapshot.shard.is_first() => Some(()),
            Source::Tenant(_, write) => {
                let labels = L::of(&[("tenant", self.tenant)]);
                visit(&labels, &|out| write(out, &self.fleet, self.snapshot, self.now));
                Some(())
            }
            Source::Collector(write) => self.snapshot.status.iter().nth(place).map(|(collector, status)| {
                let labels = L::of(&[("tenant", self.tenant), ("collector", collector.label())]);
                visit(&labels, &|out| write(out, status));
            }),
            Source::Exporter | Source::About(_) => None,
        };
        debug_assert!(visited.is_some(), "{} has no entity {place}", family.name);
    }

    fn device(&self, place: usize) -> Option<(&L, &FleetDevice<'a>)> {
        let entry = self.devices.get(place)?;
        let device = self.fleet.devices.get(entry.index)?;
        let labels = entry.labels.get_or_init(|| {
            let room = device.room.map_or("", |room| &room.name);
            L::of(&[("tenant", self.tenant), ("device_id", &device.device.id), ("room", room)])
        });
        Some((labels, device))
    }

    fn room(&self, place: usize) -> Option<(&L, &FleetRoom<'a>, &Judgement)> {
        let entry = self.rooms.get(place)?;
        let room = self.fleet.rooms.get(entry.index)?;
        let labels = entry.labels.get_or_init(|| {
            L::of(&[("tenant", self.tenant), ("room", &room.room.name), ("room_id", &room.room.id)])
        });
        Some((labels, room, self.judgements.get(entry.index)?.as_ref()?))
    }
}

impl View<'_, Attributes> {
    /// The same series as data points.
    pub fn observe(&self, family: &'static Family, points: &mut Points) {
        points.family(family);
        for place in 0..self.entities(family) {
            self.visit(family, place, |attributes, write| {
                let attributes = attributes.as_slice();
                write(&mut Out { name: family.name, sink: Sink::Points { points, attributes } });
            });
        }
    }
}

/// Those that have a place among all, in the order of their buckets, else in that of the fleet.
fn entries<L>(places: &[Option<u32>], buckets: usize) -> Vec<Entry<L>> {
    let entry = |(index, place): (usize, &Option<u32>)| {
        Some(Entry { index, place: (*place)?, labels: OnceCell::new() })
    };
    let mut entries: Vec<_> = places.iter().enumerate().filter_map(entry).collect();
    entries.sort_by_key(|entry| roster::bucket_of(entry.place, buckets));
    entries
}

/// Rooms may be of one name: without their id two series without a device would be the same.
fn managed<'a, L: OfPairs>(tenant: &str, fleet: &Fleet<'a>) -> Vec<Managed<'a, L>> {
    let labels = |device_id, room, room_id| {
        L::of(&[("tenant", tenant), ("device_id", device_id), ("room", room), ("room_id", room_id)])
    };
    let devices = fleet.devices.iter().enumerate().filter(|(_, device)| device.is_own());
    let devices = devices.filter_map(|(index, device)| {
        let (room, room_id) = device.room.map_or(("", ""), |room| (&room.name, &room.id));
        Some(Managed {
            holder: Holder::Device(index),
            place: device.place_among_all(),
            labels: labels(&*device.device.id, room, room_id),
            device: device.managed?,
        })
    });
    let rooms = fleet.rooms.iter().enumerate().filter(|(_, room)| room.is_own());
    let rooms = rooms.filter_map(|(index, room)| {
        let Room { id, name, .. } = room.room;
        Some(Managed {
            holder: Holder::Room(index),
            place: room.place_among_all(),
            labels: labels("", name, id),
            device: room.managed?,
        })
    });
    devices.chain(rooms).collect()
}

/// Writes the samples of one entity in one family.
pub struct Out<'o> {
    name: &'static str,
    sink: Sink<'o>,
}

/// Where samples go, and the labels of their entity in the form that is wanted there.
enum Sink<'o> {
    Text { lines: &'o mut Lines, labels: &'o Labels },
    Points { points: &'o mut Points, attributes: &'o [KeyValue] },
}

impl Out<'_> {
    pub fn value(&mut self, value: impl Into<Value>) {
        self.with(&[], value);
    }

    /// A sample with labels beyond those of the entity.
    pub fn with(&mut self, extra: &[(&str, &str)], value: impl Into<Value>) {
        match &mut self.sink {
            Sink::Text { lines, labels } => lines.sample(self.name, labels, extra, value),
            Sink::Points { points, attributes } => points.sample(attributes, extra, value.into()),
        }
    }

    /// The time at which the counters that follow were 0; where absent, they began with this process. OTLP alone shows it.
    pub fn counted_since(&mut self, began: Option<Timestamp>) {
        if let Sink::Points { points, .. } = &mut self.sink {
            points.counted_since(began);
        }
    }

    /// One series per state, exactly one of them 1.
    pub fn states<S: State>(&mut self, current: S) {
        self.states_with(&[], current);
    }

    /// The same, with labels beyond those of the entity.
    pub fn states_with<S: State>(&mut self, extra: &[(&str, &str)], current: S) {
        for state in S::ALL {
            self.with(&[extra, &[("state", state.label())]].concat(), *state == current);
        }
    }

    /// A fact that may be unknown, and is absent then.
    pub fn known(&mut self, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.value(value);
        }
    }

    pub fn known_with(&mut self, extra: &[(&str, &str)], value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.with(extra, value);
        }
    }
}

impl From<Timestamp> for Value {
    fn from(moment: Timestamp) -> Self {
        Self::Signed(moment.seconds())
    }
}

impl From<Duration> for Value {
    fn from(span: Duration) -> Self {
        Self::Float(span.as_secs_f64())
    }
}

/// Which families are exposed: those allowed, or all where none is named, without those denied. `lean` stands for the
/// names of that preset, to which those allowed are added.
pub fn exposed(
    lean: bool,
    allow: &[String],
    deny: &[String],
) -> impl Fn(&Family) -> bool + Send + Sync + 'static {
    let (allow, deny) = (allow.to_vec(), deny.to_vec());
    move |family| {
        let named = |names: &[String]| names.iter().any(|name| name == family.name);
        let is_preset = if lean { family.is_lean() } else { allow.is_empty() };
        (is_preset || named(&allow)) && !named(&deny)
    }
}

#[cfg(test)]
mod tests;
