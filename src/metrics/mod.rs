//! Metrics: pure functions from a snapshot and `now` to families and their text.
//!
//! The [`catalogue`] names every family and the function that writes the samples of one entity; those functions are
//! in one file per noun. A [`View`] is everything they may look at.

pub mod accounts;
pub mod block;
pub mod calendar;
pub mod catalogue;
pub mod collectors;
pub mod credentials;
pub mod devices;
pub mod exporter;
pub mod exposition;
pub mod incidents;
pub mod intune;
pub mod points;
pub mod rooms;
pub mod service_health;
pub mod text;
pub mod usage;

use std::sync::Arc;
use std::time::Duration;

use crate::model::fleet::{Fleet, room_name};
use crate::model::identity::Room;
use crate::model::managed_device::ManagedDevice;
use crate::model::room::Judgement;
use crate::model::{Snapshot, State, Timestamp};
use block::{Block, Cutter};
use catalogue::{Family, Source};
use exposition::Segment;
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
    judgements: Vec<Judgement>,
    device_labels: Vec<L>,
    room_labels: Vec<L>,
    managed: Vec<Managed<'a, L>>,
}

/// A device that Intune manages: one of the fleet, or one that only the account of a room tells to be its own.
struct Managed<'a, L> {
    /// Of the device, else of the room.
    id: &'a str,
    labels: L,
    device: &'a ManagedDevice,
}

/// Writes the samples of one entity.
type Write<'w> = dyn Fn(&mut Out<'_>) + 'w;

impl<'a, L: OfPairs> View<'a, L> {
    pub fn new(tenant: &'a str, snapshot: &'a Snapshot, now: Timestamp) -> Self {
        let fleet = Fleet::at(snapshot, now);
        let device_labels = fleet.own_devices().map(|device| {
            let room = room_name(device.room);
            L::of(&[("tenant", tenant), ("device_id", &device.device.id), ("room", &room)])
        });
        let room_labels = fleet
            .own_rooms()
            .map(|room| L::of(&[("tenant", tenant), ("room", &room.room.name), ("room_id", &room.room.id)]));
        let (device_labels, room_labels) = (device_labels.collect(), room_labels.collect());
        let judgements = fleet.own_rooms().map(|room| Judgement::of(&fleet, room)).collect();
        let managed = managed(tenant, &fleet);
        Self { tenant, snapshot, now, fleet, judgements, device_labels, room_labels, managed }
    }

    /// When this view ends by itself: a record expires, or the last success of a source does.
    pub fn until(&self) -> Option<Timestamp> {
        let successes = self.snapshot.status.values().filter(|status| status.is_fresh(self.now));
        let ends = successes.filter_map(|status| Some(status.last_success?.plus(status.expiry)));
        let ends = ends.map(|end| end.plus(Duration::from_secs(1)));
        let verdicts = self.judgements.iter().filter_map(|judgement| judgement.until);
        ends.chain(self.fleet.until).chain(verdicts).min()
    }

    /// Hands each entity of a family to `visit`: its key, its labels and what writes its samples.
    fn each(&self, family: &Family, mut entity: impl FnMut(&str, &L, &Write<'_>)) {
        match family.source {
            Source::Device(_, write) => {
                for (device, labels) in self.fleet.own_devices().zip(&self.device_labels) {
                    entity(&device.device.id, labels, &|out| write(out, &self.fleet, device));
                }
            }
            Source::Room(_, write) | Source::RoomTime(_, write) | Source::Pushed(write) => {
                let rooms = self.fleet.own_rooms().zip(&self.judgements).zip(&self.room_labels);
                for ((room, judgement), labels) in rooms {
                    entity(&room.room.id, labels, &|out| write(out, &self.fleet, room, judgement));
                }
            }
            Source::Managed(write) => {
                for managed in &self.managed {
                    entity(managed.id, &managed.labels, &|out| write(out, managed.device));
                }
            }
            // What a source says of the whole tenant is said once; the rest is about this process.
            Source::Tenant(Some(_), _) if !self.snapshot.shard.is_first() => {}
            Source::Tenant(_, write) => {
                let labels = L::of(&[("tenant", self.tenant)]);
                entity(self.tenant, &labels, &|out| write(out, &self.fleet, self.snapshot, self.now));
            }
            Source::Collector(write) => {
                for (collector, status) in self.snapshot.status.iter() {
                    let labels = L::of(&[("tenant", self.tenant), ("collector", collector.label())]);
                    entity(collector.label(), &labels, &|out| write(out, status));
                }
            }
            Source::Exporter | Source::About(_) => {}
        }
    }
}

impl View<'_> {
    /// All series of one family; blocks of `previous` whose text is the same are kept.
    pub fn render(&self, family: &Family, cutter: &mut Cutter, previous: &[Arc<Block>]) -> Segment {
        let mut cut = cutter.cut(previous);
        self.each(family, |key, labels, write| {
            let name = family.name;
            cut.entity(key, |lines| write(&mut Out { name, sink: Sink::Text { lines, labels } }));
        });
        Segment::from(cut)
    }
}

impl View<'_, Attributes> {
    /// The same series as data points.
    pub fn observe(&self, family: &'static Family, points: &mut Points) {
        points.family(family);
        self.each(family, |_, attributes, write| {
            let attributes = attributes.as_slice();
            write(&mut Out { name: family.name, sink: Sink::Points { points, attributes } });
        });
    }
}

/// Rooms may be of one name: without their id two series without a device would be the same.
fn managed<'a, L: OfPairs>(tenant: &str, fleet: &Fleet<'a>) -> Vec<Managed<'a, L>> {
    let labels = |device_id, room, room_id| {
        L::of(&[("tenant", tenant), ("device_id", device_id), ("room", room), ("room_id", room_id)])
    };
    let devices = fleet.own_devices().filter_map(|device| {
        let id = &*device.device.id;
        let (room, room_id) = device.room.map_or(("", ""), |room| (&room.name, &room.id));
        Some(Managed { id, labels: labels(id, room, room_id), device: device.managed? })
    });
    let rooms = fleet.own_rooms().filter_map(|room| {
        let Room { id, name, .. } = room.room;
        Some(Managed { id, labels: labels("", name, id), device: room.managed? })
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

/// Which families are exposed: those allowed, or all where none is named, without those denied.
pub fn exposed(allow: &[String], deny: &[String]) -> impl Fn(&Family) -> bool + Send + Sync + 'static {
    let (allow, deny) = (allow.to_vec(), deny.to_vec());
    move |family| {
        let named = |names: &[String]| names.iter().any(|name| name == family.name);
        (allow.is_empty() || named(&allow)) && !named(&deny)
    }
}
