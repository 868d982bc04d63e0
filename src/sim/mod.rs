//! The simulated tenant: a pretend Microsoft 365 tenant that speaks OAuth2 and Graph over real HTTP.
//! Written from Microsoft's documentation and from public captures of real tenants alone, see [`Profile`].
//! It shares nothing with the collectors but HTTP, so that a misread field is caught. The flow: `server` receives,
//! `routes` finds the operation, a file per noun answers it from `world`, and `faults` get in the way.

mod applications;
mod batch;
mod breakage;
mod calendar;
mod chance;
mod clock;
mod controls;
mod devices;
mod edits;
mod faults;
mod intune;
mod licenses;
mod odata;
mod pages;
mod places;
mod presence;
mod profile;
mod proofs;
mod replay;
mod reply;
mod requests;
mod routes;
mod server;
mod service_health;
mod spoil;
mod tenant;
mod token;
mod users;
mod webhooks;
mod world;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use uuid::Uuid;

pub use faults::{Fault, FaultError, fault_table};
pub use profile::Profile;
pub use replay::Replay;
pub use requests::RecordedRequest;
use tenant::Tenant;
pub use webhooks::Webhook;

pub const TENANT_ID: &str = "11111111-2222-4333-8444-555555555555";
pub const CLIENT_ID: &str = "22222222-3333-4444-8555-666666666666";
/// What App Service puts into `IDENTITY_HEADER`.
pub const IDENTITY_HEADER: &str = "simulated-Identity.Never-Log_This-2";
/// The one secret that is accepted; easy to find where it should not be.
pub const CLIENT_SECRET: &str = "simulated~Secret.Never-Log_This+1";

#[derive(Clone, Debug)]
pub struct Settings {
    /// At most 50,000.
    pub rooms: usize,
    pub seed: u64,
    /// The shape of the answers.
    pub profile: Profile,
    /// Simulated seconds per real second; 0.0 and the world stands still.
    pub speed: f64,
    /// Simulated time at start-up.
    pub start: Timestamp,
    /// On from the start.
    pub faults: Vec<Fault>,
    /// The application permissions tokens are issued with; `None` for all the product uses.
    pub roles: Option<Vec<String>>,
    /// How long it takes until the truth shows in what devices report. Presence follows the truth.
    pub device_lag: Duration,
    /// Answers of Graph are those of a capture; the world has no rooms.
    pub replay: Option<Arc<Replay>>,
}

impl Default for Settings {
    fn default() -> Self {
        let start = Timestamp::constant(FRIDAY_MORNING, 0);
        Self {
            rooms: 60,
            seed: 1,
            profile: Profile::DEFAULT,
            speed: 1.0,
            start,
            faults: Vec::new(),
            roles: None,
            device_lag: Duration::ZERO,
            replay: None,
        }
    }
}

/// 2026-11-20T08:00:00Z.
const FRIDAY_MORNING: i64 = 1_795_161_600;

/// A room of the tenant, for tests in the same process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomFacts {
    pub name: String,
    pub upn: String,
    pub user_id: String,
    /// Its code, such as `BER1`, whether or not the address book knows it.
    pub building: String,
    pub device_ids: Vec<String>,
}

/// Serves a tenant on the listener. The future runs the server until [`Sim::stop`], or until it is dropped.
pub fn start(
    listener: TcpListener,
    settings: Settings,
) -> std::io::Result<(Sim, impl Future<Output = ()> + Send)> {
    let url = format!("http://{}", reachable(listener.local_addr()?));
    let tenant = Arc::new(Tenant::new(url, settings));
    Ok((Sim(Arc::clone(&tenant)), server::serve(listener, tenant)))
}

/// The address that a client on this machine uses for a listener.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// A handle to a running tenant, for tests in the same process.
#[derive(Clone)]
pub struct Sim(Arc<Tenant>);

impl Sim {
    /// The root of both the authority and Graph.
    pub fn url(&self) -> String {
        self.0.url.clone()
    }

    /// Names the status page of the exporter that reads this tenant. Returns the incidents that
    /// `/_sim/break/incident` sends to it.
    pub fn attach(&self, status_page: String) -> mpsc::Receiver<Value> {
        self.0.breakage.attach(status_page)
    }

    /// Simulated now.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Moves simulated time forward at once, whatever the speed.
    pub fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    pub fn set_speed(&self, speed: f64) {
        self.0.clock.set_speed(speed);
    }

    /// Replaces the active faults at once; those that remember when they were set begin anew.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.0.set_faults(faults);
    }

    /// Every request received, batch items before their envelope; the newest 100,000.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.0.requests.all()
    }

    pub fn clear_requests(&self) {
        self.0.requests.clear();
    }

    /// The ids of all devices, in the order of the list.
    pub fn devices(&self) -> Vec<String> {
        let entries = self.0.world.entries().iter();
        entries.filter(|entry| self.0.is_present(entry.id)).map(|entry| entry.id.to_string()).collect()
    }

    /// Lays an RFC 7386 merge patch over the documents `device`, `health`, `activity`, `configuration` and
    /// `managedDevice` of a device, the `managedDevice` of a person, or the `application` with a client id. Patches add up; `null` in place of a document, or of all of them, takes its patches back.
    /// The `lastModifiedDateTime` of an edited document follows unless the patch sets it.
    pub fn edit(&self, device_id: &str, patch: Value) {
        if let Ok(id) = Uuid::try_parse(device_id) {
            self.0.edit(id, patch);
        }
    }

    /// Changes what tokens are issued with; tokens keep the roles they have, as right after consent.
    pub fn set_roles(&self, roles: &[&str]) {
        self.0.set_roles(roles.iter().map(|role| (*role).to_owned()).collect());
    }

    /// The number of rooms that the directory has: those with devices, those without, and the panels at entrances.
    pub fn room_accounts(&self) -> usize {
        self.0.world.room_accounts()
    }

    /// The rooms that have devices.
    pub fn rooms(&self) -> Vec<RoomFacts> {
        let rooms = self.0.world.rooms().map(|(room, entries)| {
            let present = entries.iter().filter(|entry| self.0.is_present(entry.id));
            RoomFacts {
                name: room.name,
                upn: room.account.user_principal_name,
                user_id: room.account.id.to_string(),
                building: room.building.code,
                device_ids: present.map(|entry| entry.id.to_string()).collect(),
            }
        });
        rooms.collect()
    }

    /// As [`Sim::edit`], for the documents `place`, `user`, `presence` and `schedule` of the mailbox with the
    /// user principal name or address.
    pub fn edit_room(&self, upn: &str, patch: Value) {
        if let Some(mailbox) = self.0.world.mailbox_at(upn) {
            self.0.edit(mailbox.room.account.id, patch);
        }
    }

    /// What the Pro Management portal pushes of a room; `None` where there is no such room.
    pub fn incident(&self, webhook: Webhook<'_>) -> Option<Value> {
        webhooks::incident(&webhook, &self.0)
    }

    /// What the Teams admin center pushes of a room's first device.
    pub fn alert(&self, webhook: Webhook<'_>) -> Option<Value> {
        webhooks::alert(&webhook, &self.0)
    }

    /// A name that stands in every free text of a push, to search for where it should not be.
    pub fn person(&self) -> &str {
        webhooks::PERSON
    }

    /// A name of the administrator who last changed some devices, to search for where it should not be.
    ///
    /// Only [`Profile::Real`] sends it.
    pub fn admin(&self) -> &str {
        devices::ADMIN
    }

    /// Deletes the device or the user from the tenant.
    pub fn remove(&self, id: &str) {
        if let Ok(id) = Uuid::try_parse(id) {
            self.0.edits.remove(id);
        }
    }

    /// The one accepted client secret, to search logs for.
    pub fn secret(&self) -> &str {
        CLIENT_SECRET
    }

    /// Every token issued (the newest 10,000), to search logs for.
    pub fn tokens(&self) -> Vec<String> {
        self.0.tokens.all()
    }

    /// Replaces the certificates (in DER) that are registered with the application.
    pub fn set_certificates(&self, certificates: Vec<Vec<u8>>) {
        self.0.proofs.set_certificates(certificates);
    }

    /// Replaces the tokens of another issuer that the application is believed with.
    pub fn set_federated_tokens(&self, tokens: &[&str]) {
        self.0.proofs.set_federated(tokens);
    }

    /// Replaces the refresh tokens of the user that are good; each is good once, none revokes them all.
    pub fn set_refresh_tokens(&self, tokens: &[&str]) {
        self.0.proofs.set_refresh_tokens(tokens);
    }

    /// The refresh tokens that are good now.
    pub fn refresh_tokens(&self) -> Vec<String> {
        self.0.proofs.refresh_tokens()
    }

    /// Ends the server; open connections are closed.
    pub fn stop(&self) {
        self.0.stopped.send_replace(true);
    }
}
