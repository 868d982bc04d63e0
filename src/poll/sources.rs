//! The sources that stand by themselves, and the rooms file.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use tracing::Instrument as _;

use crate::collectors::intune::Enrolled;
use crate::collectors::{self, Outcome, UnknownValue, accounts, licenses};
use crate::config::Enabled;
use crate::graph::Error;
use crate::graph::auth::Expiry;
use crate::model::Snapshot;
use crate::model::account::User;
use crate::model::calendar::Calendar;
use crate::model::collector::{Collector, CollectorState};
use crate::model::credential::{CERTIFICATE, CLIENT_SECRET};
use crate::model::fleet::Fleet;
use crate::model::identity::Room;
use crate::model::listing::Settled;
use crate::model::managed_device::{ManagedDevice, Sieve};
use crate::model::presence::Presence;
use crate::poll::outcome::Finished;
use crate::poll::{PATIENCE, Poller, deadline as patience};
use crate::rooms_file::RoomsFile;

/// The sources that know which accounts are rooms.
const IDENTITY: [Collector; 3] = [Collector::Devices, Collector::Places, Collector::Accounts];

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

/// A device by Intune's id of it.
type Managed = (Arc<str>, ManagedDevice);

/// The enrolments that one reading of Intune has kept.
#[derive(Default)]
struct Kept {
    ids: HashSet<Arc<str>>,
    unknown_values: Vec<UnknownValue>,
    /// There were more than may be held.
    left_out: bool,
}

impl Kept {
    /// Returns the devices of a page that are new and belong to rooms, and the names that are spelled for people there.
    fn take(&mut self, sieve: &Sieve<'_>, page: Vec<Enrolled>, most: usize) -> (Vec<Managed>, Vec<Arc<str>>) {
        let (mut devices, mut spellings) = (Vec::new(), Vec::new());
        for Enrolled { id, user, device, product, unknown_values } in page {
            let Some(device) = sieve.keep(user.as_ref(), device) else { continue };
            if self.ids.len() >= most && !self.ids.contains(&id) {
                self.left_out = true;
            } else if self.ids.insert(id.clone()) {
                self.unknown_values.extend(unknown_values);
                spellings.extend(sieve.spellings(&device, &product));
                devices.push((id, device));
            }
        }
        (devices, spellings)
    }
}

impl Poller {
    /// Polls a source that stands by itself.
    pub(super) async fn poll_source(&self, collector: Collector) {
        if self.settings.sources.of(collector).enabled == Enabled::No {
            return;
        }
        if matches!(collector, Collector::Presence | Collector::Calendar | Collector::Intune) {
            self.rooms_are_known().await;
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

    /// Waits until every source that knows rooms has ended its first attempt. A list that hangs or drips is not waited for
    /// once another source has named rooms.
    async fn rooms_are_known(&self) {
        let named = async {
            tokio::time::sleep(self.settings.first_wait).await;
            let mut snapshots = self.store.subscribe();
            let is_named = |snapshot: &Snapshot| snapshot.memory.rooms.rooms().next().is_some();
            drop(snapshots.wait_for(is_named).await);
        };
        tokio::select! {
            () = self.ended_first(&IDENTITY) => {}
            () = named => {}
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

    /// Lets the ids of rooms change until the sources that know their names have ended their first attempt.
    pub(super) async fn settle_rooms(&self) {
        self.ended_first(&IDENTITY).await;
        self.store.settle_rooms();
    }

    pub(super) async fn read_source(&self, collector: Collector, began: Instant) -> CollectorState {
        let deadline = began + PATIENCE;
        let Read { outcome, found, settled } = match collector {
            Collector::Presence => self.read_presence(deadline).await,
            Collector::Places => self.read_places(deadline).await,
            Collector::Intune => self.read_intune().await,
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

    /// A room that was left out shows in the sources that named it.
    pub(super) fn note_rooms_left_out(&self, outcome: &mut Outcome) {
        if self.store.snapshot().memory.rooms.has_left_out() {
            let most = self.settings.max_items;
            outcome.failures.push(("rooms".to_owned(), Error::TooMany { most }));
        }
    }

    async fn read_places(&self, deadline: Instant) -> Read {
        let lists = &self.settings.room_lists;
        let most = self.settings.max_items;
        let (mut outcome, places) = collectors::places::collect(&self.client, lists, most, deadline).await;
        let (whole, complete, found) = (outcome.is_whole(), outcome.is_complete(), places.len());
        let narrows = whole && !lists.is_empty();
        let settled = self.store.take_places(places, narrows, complete, self.clock.now());
        self.note_rooms_left_out(&mut outcome);
        Read { outcome, found, settled }
    }

    /// Keeps only what belongs to rooms, as they are known now; others come with the next reading.
    async fn read_intune(&self) -> Read {
        let snapshot = self.store.snapshot();
        let (sieve, most) = (Sieve::new(&snapshot), self.settings.max_items);
        let kept = Mutex::new(Kept::default());
        let take = |enrolled: Vec<Enrolled>| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let (devices, spellings) = kept.take(&sieve, enrolled, most);
            self.store.take_managed_devices(devices, &spellings, self.clock.now());
        };
        let mut outcome = collectors::intune::collect(&self.client, PATIENCE, &take).await;
        let kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcome.unknown_values.extend(kept.unknown_values);
        if kept.left_out {
            outcome.failures.push(("devices of rooms".to_owned(), Error::TooMany { most }));
        }
        if outcome.is_complete() {
            self.store.settle_managed_devices(&kept.ids, self.clock.now());
        }
        Read::whole(outcome, kept.ids.len())
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
        let mut outcome = of_licenses.and(of_users);
        self.note_rooms_left_out(&mut outcome);
        Read { outcome, found, settled }
    }

    /// The users with a licence of these products, then the other rooms; of those it takes until the sources that know of
    /// rooms have been asked for the first time.
    async fn read_users(&self, products: &[Arc<str>], deadline: Instant) -> (Outcome, Vec<User>) {
        let skus = &self.settings.skus;
        let (outcome, mut users) =
            accounts::licensed(&self.client, products, skus, self.settings.max_items, deadline).await;
        // Where room lists say what a room is, a licence does not.
        let by_license = self.settings.room_lists.is_empty();
        self.store.take_accounts(&users, by_license, self.clock.now());
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

    /// The rooms that are not among these users, and the people who were found signed in on devices of rooms: what the
    /// directory says of them may have changed.
    fn rooms_missing_among(&self, users: &[User]) -> Vec<Arc<str>> {
        let snapshot = self.store.snapshot();
        let fleet = Fleet::at(&snapshot, self.clock.now());
        let mut names = accounts::missing(fleet.own_rooms().map(|room| room.room), users);
        names.extend(snapshot.memory.rooms.people().cloned());
        names
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
