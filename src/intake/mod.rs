//! Takes what Microsoft's portals push: who may, how much, and into whose picture it goes.
//!
//! Strangers reach this. So a secret is asked for before anything is read of a body, nothing that they send is logged,
//! and everything is bounded. A tenant without a secret takes nothing.

mod seal;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use prometheus::IntCounter;
use tokio::time::Instant;

use self::seal::Seal;
use crate::clock::Clock;
use crate::collectors::incidents;
use crate::config::{Credential, Secret, check_intake};
use crate::model::State;
use crate::model::incident::{Receipt, Reporter};
use crate::poll::UnknownValues;
use crate::serve::bucket::{Bucket, Limit};
use crate::serve::intake::Push;
use crate::stats::Stats;
use crate::store::Store;

/// The network of a site fails, and hundreds of rooms are told of at once; 10 a second for long would be every room of the
/// largest fleet within two hours.
const PER_TENANT: Limit = Limit { burst: 300.0, per_second: 10.0 };
/// Each push renders its tenant anew, and all tenants share two cores at worst.
const ALTOGETHER: Limit = Limit { burst: 1000.0, per_second: 50.0 };
/// Who has no secret has nothing to do here. A bucket of their own, so that they do not take it from those who have.
const STRANGERS: Limit = Limit { burst: 100.0, per_second: 5.0 };
/// How often the secret files are read for a new secret.
pub const SECRETS_EVERY: Duration = Duration::from_secs(10);

/// What is needed to take pushes for one tenant.
pub struct Recipient {
    pub tenant: Arc<str>,
    /// Where its secret is read from again.
    pub credential: Credential,
    pub secret: Secret,
    pub store: Arc<Store>,
}

/// All tenants that take pushes.
pub struct Intake {
    gates: BTreeMap<Arc<str>, Gate>,
    /// Stands in where there is no tenant of that name, for the same work.
    nobody: Mutex<Seal>,
    altogether: Mutex<Bucket>,
    strangers: Mutex<Bucket>,
    stats: Arc<Stats>,
    clock: Clock,
}

struct Gate {
    recipient: Recipient,
    seal: Mutex<Seal>,
    bucket: Mutex<Bucket>,
    unknown_values: UnknownValues,
    /// What was told of its secret file.
    told: Mutex<Option<String>>,
}

impl Intake {
    pub fn open(recipients: Vec<Recipient>, stats: &Arc<Stats>, clock: &Clock) -> Self {
        let now = Instant::now();
        let mut gates = BTreeMap::new();
        for recipient in recipients {
            let tenant = recipient.tenant.clone();
            let gate = Gate {
                seal: Mutex::new(Seal::of(recipient.secret.expose().as_bytes())),
                told: Mutex::default(),
                bucket: Mutex::new(Bucket::full(PER_TENANT, now)),
                unknown_values: UnknownValues::new(tenant.clone(), stats.tenant(&tenant)),
                recipient,
            };
            gates.insert(tenant, gate);
        }
        let intake = Self {
            gates,
            nobody: Mutex::new(Seal::of(b"")),
            altogether: Mutex::new(Bucket::full(ALTOGETHER, now)),
            strangers: Mutex::new(Bucket::full(STRANGERS, now)),
            stats: stats.clone(),
            clock: clock.clone(),
        };
        intake.show_counters();
        intake
    }

    /// Returns `Ok` if the body of a push is to be read: its secret is right, and not too many come at once.
    pub fn admit(&self, push: Push<'_>) -> Result<(), Receipt> {
        let now = Instant::now();
        let receipt = match self.gate(push) {
            Some(gate) if lock(&gate.bucket).take(now) && lock(&self.altogether).take(now) => return Ok(()),
            None if lock(&self.strangers).take(now) => Receipt::Unauthorized,
            _ => Receipt::Throttled,
        };
        Err(self.counted(push, receipt))
    }

    /// Takes a push that was admitted. The secret is checked again: it may have changed while the body came.
    pub fn receive(&self, push: Push<'_>) -> Receipt {
        let taken = self.gate(push).map(|gate| gate.take(push, &self.clock));
        self.counted(push, taken.unwrap_or(Receipt::Unauthorized))
    }

    /// The gate that the secret opens. An unknown tenant costs the same work.
    fn gate(&self, push: Push<'_>) -> Option<&Gate> {
        let gate = self.gates.get(push.tenant);
        let seal = gate.map_or(&self.nobody, |gate| &gate.seal);
        let fits = lock(seal).fits(push.secret.unwrap_or_default());
        gate.filter(|_| fits)
    }

    fn counted(&self, push: Push<'_>, receipt: Receipt) -> Receipt {
        let tenant = self.gates.get(push.tenant).map_or("", |gate| &gate.recipient.tenant);
        self.counter(tenant, push.reporter, receipt).inc();
        receipt
    }

    /// Reads the secret files again; a bad one leaves the secret that was read before.
    pub async fn follow_secrets(&self) {
        join_all(self.gates.values().map(Gate::follow_secret)).await;
    }

    /// Each counter is there at 0 before its first push.
    fn show_counters(&self) {
        if self.gates.is_empty() {
            return;
        }
        for tenant in self.gates.keys().map(|tenant| &**tenant) {
            for (reporter, receipt) in Reporter::ALL
                .iter()
                .flat_map(|reporter| Receipt::ALL.iter().map(move |receipt| (*reporter, *receipt)))
            {
                self.counter(tenant, reporter, receipt);
            }
        }
        for reporter in Reporter::ALL {
            self.counter("", *reporter, Receipt::Unauthorized);
            self.counter("", *reporter, Receipt::Throttled);
        }
    }

    fn counter(&self, tenant: &str, reporter: Reporter, receipt: Receipt) -> IntCounter {
        self.stats.intake_request(tenant, reporter.label(), receipt.label())
    }
}

impl Gate {
    fn take(&self, push: Push<'_>, clock: &Clock) -> Receipt {
        let (tenant, intake) = (&*self.recipient.tenant, push.reporter.label());
        let Some(body) = push.body else { return Receipt::Oversized };
        match incidents::read(push.reporter, body) {
            Ok(read) => {
                self.unknown_values.report(&read.unknown_values);
                let receipt = self.recipient.store.take_incident(push.reporter, read.event, clock.now());
                tracing::debug!(tenant, intake, result = receipt.label(), "pushed");
                receipt
            }
            Err(reason) => {
                tracing::warn!(tenant, intake, %reason, "a push cannot be read");
                Receipt::Malformed
            }
        }
    }

    async fn follow_secret(&self) {
        if matches!(self.recipient.credential, Credential::Secret(_)) {
            return;
        }
        let (tenant, credential) = (&*self.recipient.tenant, self.recipient.credential.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let secret = credential.read().map_err(|error| error.to_string())?;
            check_intake(&secret).map(|()| secret)
        });
        let Ok(read) = reading.await else { return }; // the runtime ends
        let mut told = lock(&self.told);
        match read {
            Ok(secret) => {
                if lock(&self.seal).replace(secret.expose().as_bytes()) {
                    tracing::info!(tenant, "the intake has a new secret");
                }
                *told = None;
            }
            Err(error) => {
                if told.as_ref() != Some(&error) {
                    tracing::error!(tenant, error, "the intake keeps the secret that it had");
                }
                *told = Some(error);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
