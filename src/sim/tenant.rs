//! The tenant as all requests share it: world, clocks, edits, faults, tokens and the record of requests.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use super::breakage::Breakage;
use super::clock::Clock;
use super::edits::{Edits, Patch};
use super::faults::{Active, Fault, Kind};
use super::proofs::Proofs;
use super::replay::Replay;
use super::reply::Stamp;
use super::requests::Requests;
use super::token::{self, Tokens};
use super::world::World;
use super::{Profile, Settings};

pub(super) struct Tenant {
    /// Root of both authority and Graph.
    pub(super) url: String,
    pub(super) profile: Profile,
    pub(super) clock: Clock,
    pub(super) world: World,
    pub(super) edits: Edits,
    pub(super) breakage: Breakage,
    pub(super) tokens: Tokens,
    pub(super) proofs: Proofs,
    pub(super) requests: Requests,
    /// Turns true once, when the server is to end.
    pub(super) stopped: watch::Sender<bool>,
    /// How far what devices report lies behind, in milliseconds.
    pub(super) device_lag: i64,
    /// The capture that replaces the world, and the start of its replay.
    pub(super) replay: Option<(Arc<Replay>, Timestamp)>,
    roles: RwLock<Arc<[String]>>,
    faults: Mutex<Arc<Active>>,
    answered: AtomicI64,
}

impl Tenant {
    pub(super) fn new(url: String, settings: Settings) -> Self {
        let start = settings.start;
        let rooms = if settings.replay.is_some() { 0 } else { settings.rooms };
        let roles = settings.roles.unwrap_or_else(|| token::ROLES.map(str::to_owned).into());
        Self {
            url,
            profile: settings.profile,
            clock: Clock::new(start, settings.speed),
            world: World::new(settings.seed, rooms, start),
            edits: Edits::default(),
            breakage: Breakage::default(),
            tokens: Tokens::default(),
            proofs: Proofs::default(),
            requests: Requests::default(),
            stopped: watch::Sender::new(false),
            device_lag: i64::try_from(settings.device_lag.as_millis()).unwrap_or(i64::MAX),
            replay: settings.replay.map(|replay| (replay, start)),
            roles: RwLock::new(roles.into()),
            faults: Mutex::new(Arc::new(Active::new(settings.faults, start.as_millisecond(), 0))),
            answered: AtomicI64::new(0),
        }
    }

    /// The active faults, as one request sees them from beginning to end.
    pub(super) fn faults(&self) -> Arc<Active> {
        Arc::clone(&self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_faults(&self, faults: Vec<Fault>) {
        let active = Active::new(faults, self.now(), self.tokens.count());
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(active);
    }

    /// What tokens are issued with from now on.
    pub(super) fn set_roles(&self, roles: Vec<String>) {
        *self.roles.write().unwrap_or_else(PoisonError::into_inner) = roles.into();
    }

    pub(super) fn roles(&self) -> Arc<[String]> {
        Arc::clone(&self.roles.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Simulated milliseconds.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    /// The moment the data are of.
    pub(super) fn moment(&self, faults: &Active) -> i64 {
        if faults.is_on(Kind::Frozen).is_some() { faults.since } else { self.now() }
    }

    pub(super) fn edit(&self, device: Uuid, patch: Value) {
        self.edits.edit(device, patch, self.now());
    }

    /// What was edited on a device long enough ago to be in what it reports.
    pub(super) fn reported_edits(&self, device: Uuid) -> Option<Patch> {
        self.edits.of(device, self.now().saturating_sub(self.device_lag))
    }

    pub(super) fn edits_of(&self, device_or_account: Uuid) -> Option<Patch> {
        self.edits.of(device_or_account, self.now())
    }

    pub(super) fn is_present(&self, device: Uuid) -> bool {
        self.world.find(device).is_some() && !self.edits.is_removed(device)
    }

    /// How many sign-ins of a user came before this one.
    pub(super) fn count_sign_in(&self) -> i64 {
        self.answered.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn stamp(&self, client_request_id: Option<&str>) -> Stamp {
        let number = self.answered.fetch_add(1, Ordering::Relaxed);
        let request_id = self.world.seed().named("request").number(number).guid().to_string();
        let client_request_id = client_request_id.map_or_else(|| request_id.clone(), str::to_owned);
        Stamp { request_id, client_request_id, wall: self.clock.wall() }
    }
}
