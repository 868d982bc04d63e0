//! The sources that stand by themselves, and the rooms file.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use tracing::Instrument as _;

use crate::collectors::intune::Enrolled;
use crate::collectors::{self, Outcome, accounts, licenses};
use crate::config::Enabled;
use crate::graph::auth::Expiry;
use crate::model::Snapshot;
use crate::model::account::{Tier, User};
use crate::model::calendar::Calendar;
use crate::model::collector::{Collector, CollectorState};
use crate::model::credential::{CERTIFICATE, CLIENT_SECRET};
use crate::model::fleet::Fleet;
use crate::model::identity::Room;
use crate::model::listing::Settled;
use crate::model::managed_device::Sieve;
use crate::model::presence::Presence;
use crate::poll::outcome::Finished;
use crate::poll::{PATIENCE, Poller, deadline as patience};
use crate::rooms_file::RoomsFile;

/// What an attempt brought.
struct Read {
    outcome: Outcome,
    /// How much came; a good answer with nothing in it may be doubted.
    found: usize,
    settled: Settled,
}

impl Read {
    /// Of a source that holds nothing back.
    fn whole(outcome: Outcome, found: usize) -> Self {
        Self { outcome, found, settled: Settled::default() }
    }
}

impl Poller {
    /// Polls a source that stands by itself.
    pub(super) async fn poll_source(&self, collector: Collector) {
        if self.settings.sources.of(collector).enabled == Enabled::No {
            return;
        }
        if matches!(collector, Collector::Presence | Collector::Calendar | Collector::Intune) {
            self.ended_first(&[Collector::Devices, Collector::Places, Collector::Accounts]).await;
        }
        loop {
            let began = Instant::now();
            let state = self.read_source(collector, began).instrument(self.span(collector)).await;
            self.rest(collector, state, began).await;
            self.while_paused().await;
        }
    }

    /// Reads the rooms file when it changes; a bad one leaves what was read before.
    pub(super) async fn follow_rooms_file(&self) {
        let Some(path) = self.settings.rooms_file.clone() else { return };
        let mut file = RoomsFile::new(path);
        let mut told = None;
        loop {
            let reading = tokio::task::spawn_blocking(move || {
                let rooms = file.read_if_changed();
                (file, rooms)
            });
            let Ok((back, rooms)) = reading.await else { return }; // the runtime ends
            file = back;
            match rooms {
                Ok(Some(rooms)) => {
                    tracing::info!(tenant = &*self.tenant, rooms = rooms.len(), "rooms file read");
                    self.store.take_rooms_file(rooms);
                    told = None;
                }
                Ok(None) => told = None,
                Err(error) => {
                    let error = error.to_string();
                    if told.as_ref() != Some(&error) {
                        tracing::error!(
                            tenant = &*self.tenant,
                            error,
                            "the rooms file is not read; the last good one stays in force"
                        );
                    }
                    told = Some(error);
                }
            }
            tokio::time::sleep(self.settings.rooms_file_every).await;
        }
    }

    /// Waits until these have ended their first attempt, good or bad.
    async fn ended_first(&self, sources: &[Collector]) {
        let starting = |snapshot: &Snapshot, one| {
            snapshot.status(one).is_some_and(|status| status.state == CollectorState::Starting)
        };
        let mut snapshots = self.store.subscribe();
        let ended = |snapshot: &Snapshot| !sources.iter().any(|one| starting(snapshot, *one));
        drop(snapshots.wait_for(ended).await); // the sender lives in the store
    }

    pub(super) async fn read_source(&self, collector: Collector, began: Instant) -> CollectorState {
        let deadline = began + PATIENCE;
        let Read { outcome, found, settled } = match collector {
            Collector::Presence => self.read_presence(deadline).await,
            Collector::Places => self.read_places(deadline).await,
            Collector::Intune => self.read_intune(deadline).await,
            Collector::Calendar => self.read_calendars(began).await,
            Collector::Accounts => self.read_accounts(deadline).await,
            Collector::ServiceHealth => self.read_service_health(deadline).await,
            Collector::Credentials => self.read_credentials(deadline).await,
            _ => return CollectorState::Starting, // devices and their details have their own loops
        };
        // "Nothing" after something was known is doubted, whatever the source.
        let is_doubted = collector.must_have_items() || self.store.snapshot().held(collector) > 0;
        let state = match outcome.state() {
            state if state.is_success() && found == 0 && is_doubted => CollectorState::Empty,
            state => state,
        };
        let items = self.store.snapshot().held(collector);
        let finished = Finished { outcome, items, settled, took: began.elapsed() };
        self.finish(collector, state, &finished)
    }

    /// The rooms that there are now and whose use may be known: by the name that a source has for each, its id.
    fn observed(&self, name: impl Fn(&Room) -> Option<Arc<str>>) -> BTreeMap<Arc<str>, Arc<str>> {
        let snapshot = self.store.snapshot();
        let fleet = Fleet::at(&snapshot, self.clock.now());
        let rooms = fleet.own_rooms().map(|room| room.room).filter(|room| snapshot.may_observe(room));
        rooms.filter_map(|room| Some((name(room)?, room.id.clone()))).collect()
    }

    /// Asks only for the accounts of rooms.
    async fn read_presence(&self, deadline: Instant) -> Read {
        let rooms = self.observed(|room| room.object_id.clone());
        let ids: Vec<Arc<str>> = rooms.keys().cloned().collect();
        let found = AtomicUsize::new(0);
        let take = |presences: Vec<(Arc<str>, Presence)>| {
            let of_room = |(id, presence)| Some((rooms.get(&id)?.clone(), presence));
            found.fetch_add(presences.len(), Ordering::Relaxed);
            self.store.take_presences(presences.into_iter().filter_map(of_room).collect(), self.clock.now());
        };
        let outcome = collectors::presence::collect(&self.client, &ids, deadline, &take).await;
        Read::whole(outcome, found.into_inner())
    }

    /// Asks only for the mailboxes of rooms whose use may be known.
    async fn read_calendars(&self, began: Instant) -> Read {
        let snapshot = self.store.snapshot();
        let rooms = self.observed(|room| room.email.clone());
        let mailboxes: Vec<Arc<str>> = rooms.keys().cloned().collect();
        let known = |mailbox: &str| Some(&*snapshot.calendar.get(rooms.get(mailbox)?)?.value);
        let billed = match &self.settings.calendar_mailbox {
            Some(mailbox) => vec![mailbox.clone()],
            None => collectors::calendar::rotated(&mailboxes, |one| known(one) == Some(&Calendar::Refused)),
        };
        let found = AtomicUsize::new(0);
        let take = |calendars: Vec<(Arc<str>, Calendar)>| {
            let of_room = |(mailbox, calendar)| Some((rooms.get(&mailbox)?.clone(), calendar));
            found.fetch_add(calendars.len(), Ordering::Relaxed);
            self.store.take_calendars(calendars.into_iter().filter_map(of_room).collect(), self.clock.now());
        };
        let (now, deadline) = (self.clock.now(), began + patience(mailboxes.len()));
        let outcome =
            collectors::calendar::collect(&self.client, &mailboxes, &billed, now, deadline, &take).await;
        Read::whole(outcome, found.into_inner())
    }

    async fn read_places(&self, deadline: Instant) -> Read {
        let lists = &self.settings.room_lists;
        let (outcome, places) = collectors::places::collect(&self.client, lists, deadline).await;
        let (whole, complete, found) = (outcome.is_whole(), outcome.is_complete(), places.len());
        let settled = self.store.take_places(places, whole, complete, self.clock.now());
        Read { outcome, found, settled }
    }

    /// Keeps only what belongs to rooms, as they are known now; others come with the next reading.
    async fn read_intune(&self, deadline: Instant) -> Read {
        let snapshot = self.store.snapshot();
        let sieve = Sieve::new(&snapshot);
        let kept = Mutex::new(HashSet::new());
        let take = |enrolled: Vec<Enrolled>| {
            let of_room = |(id, user, device): Enrolled| Some((id, sieve.keep(user.as_ref(), device)?));
            let devices: Vec<_> = enrolled.into_iter().filter_map(of_room).collect();
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(devices.iter().map(|(id, _)| id.clone()));
            self.store.take_managed_devices(devices, self.clock.now());
        };
        let outcome = collectors::intune::collect(&self.client, deadline, &take).await;
        let kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        if outcome.is_complete() {
            self.store.settle_managed_devices(&kept, self.clock.now());
        }
        Read::whole(outcome, kept.len())
    }

    /// Reads the licences, the users that have one, and the rooms that are not among these.
    async fn read_accounts(&self, deadline: Instant) -> Read {
        let skus = &self.settings.skus;
        let (of_licenses, products) = licenses::collect(&self.client, skus, self.clock.now(), deadline).await;
        let complete = of_licenses.is_complete();
        let ids: Vec<Arc<str>> = match products.as_ref().filter(|_| complete) {
            Some(products) => products.iter().map(|product| product.id.clone()).collect(),
            None => skus.for_rooms().cloned().collect(),
        };
        let bought = products.map(|products| {
            let licenses = products.into_iter().map(|product| (product.name, product.license)).collect();
            self.store.take_licenses(licenses, complete, self.clock.now());
        });
        let (of_users, users) = self.read_users(&ids, deadline).await;
        let settled =
            if of_users.is_complete() { self.store.settle_accounts(&users) } else { Settled::default() };
        // Where no user may be read the licences alone are something.
        let found = users.len() + usize::from(!of_users.failures.is_empty() && bought.is_some());
        Read { outcome: of_licenses.and(of_users), found, settled }
    }

    /// The users with a licence of these products, then the other rooms; of those it takes until the sources that know of
    /// rooms have been asked for the first time.
    async fn read_users(&self, products: &[Arc<str>], deadline: Instant) -> (Outcome, Vec<User>) {
        let skus = &self.settings.skus;
        let (outcome, mut users) = accounts::licensed(&self.client, products, skus, deadline).await;
        // Where room lists say what a room is, a licence does not.
        let by_license = self.settings.room_lists.is_empty();
        self.store.take_accounts(&users, by_license, self.clock.now());
        // Shared devices may all be phones: they alone do not tell that every room has been listed.
        let has_rooms =
            users.iter().any(|user| user.account.license.is_some_and(|tier| tier < Tier::SharedDevice));
        if by_license && has_rooms && outcome.is_whole() {
            self.store.note_rooms_listed();
        }
        if outcome.parts_read == 0 && !outcome.failures.is_empty() {
            return (outcome, users); // what refuses the list refuses each
        }
        self.ended_first(&[Collector::Devices, Collector::Places]).await;
        let names = self.rooms_missing_among(&users);
        let deadline = Instant::now() + patience(names.len());
        let (of_others, others) = accounts::named(&self.client, &names, skus, deadline).await;
        users.extend(others);
        self.store.take_accounts(&users, by_license, self.clock.now());
        (outcome.and(of_others), users)
    }

    /// Only what is confirmed to be a room is asked for: whoever is signed in on a device may be a person.
    fn rooms_missing_among(&self, users: &[User]) -> Vec<Arc<str>> {
        let snapshot = self.store.snapshot();
        let fleet = Fleet::at(&snapshot, self.clock.now());
        let rooms = fleet.own_rooms().map(|room| room.room).filter(|room| room.is_confirmed());
        accounts::missing(rooms, users)
    }

    async fn read_service_health(&self, deadline: Instant) -> Read {
        let (outcome, products) = collectors::service_health::collect(&self.client, deadline).await;
        let found = products.len();
        let products = products.into_iter().map(|(product, health)| (product.into(), health)).collect();
        self.store.take_service_health(products, outcome.is_whole(), self.clock.now());
        Read::whole(outcome, found)
    }

    async fn read_credentials(&self, deadline: Instant) -> Read {
        let (now, is_configured) = (self.clock.now(), self.store.snapshot().secret_expires.is_some());
        if let Expiry::Certificate(not_after) = self.client.credential_expiry() {
            let outcome = collectors::credentials::of_certificate(&not_after);
            let read = not_after.map(|expires| self.store.take_credential_expiry(CERTIFICATE, expires, now));
            return Read::whole(outcome, usize::from(read.is_ok()));
        }
        let (outcome, expires) =
            collectors::credentials::collect(&self.client, is_configured, now, deadline).await;
        if let Some(expires) = expires {
            self.store.take_credential_expiry(CLIENT_SECRET, expires, now);
        }
        Read::whole(outcome, usize::from(expires.is_some() || is_configured))
    }
}
