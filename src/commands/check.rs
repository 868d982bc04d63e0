//! `check`: does sign-in work, what does each source answer, what is to be done, and what is still missing, in words.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::commands::{Reader, reader};
use crate::config::{Auth, Config, Enabled, Tenant};
use crate::graph::auth::claims::Claims;
use crate::graph::{Error, batch};
use crate::input::shown::Line;
use crate::model::collector::{Collector, CollectorState, Facts, Status};
use crate::model::coverage::{self, Coverage};
use crate::model::device::Device;
use crate::model::fleet::Fleet;
use crate::model::{Snapshot, Span, State};

/// How long to go on asking after consent, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub at_most: Duration,
    pub every: Duration,
}

/// Consent spreads in minutes to two hours.
pub const ASK_EVERY: Duration = Duration::from_mins(1);
/// Rooms or devices that are named for each gap; the rest is a number.
const MAX_NAMED: usize = 5;

/// Checks every tenant; true if all that is required works. While a consent is on its way it asks again.
pub async fn run(
    config: &Config,
    clock: &Clock,
    waiting: Option<Waiting>,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<bool> {
    let began = Instant::now();
    loop {
        let mut found = Vec::new();
        for tenant in &config.tenants {
            found.push(Findings::of(tenant, clock).await?);
        }
        let awaited: Vec<String> = found.iter().flat_map(Findings::awaited).collect();
        match waiting.filter(|waiting| !awaited.is_empty() && began.elapsed() < waiting.at_most) {
            Some(Waiting { every, .. }) => {
                writeln!(out, "waiting for consent to spread: {}", awaited.join(", "))?;
                sleep(every).await;
            }
            None => return tell(&found, out),
        }
    }
}

fn tell(found: &[Findings<'_>], out: &mut (dyn Write + Send)) -> anyhow::Result<bool> {
    for findings in found {
        findings.tell(out)?;
    }
    let good = found.iter().all(Findings::is_good);
    match found.iter().map(Findings::count).sum::<usize>() {
        _ if !good => writeln!(out, "not all is well; see above")?,
        0 => writeln!(out, "all is well")?,
        1 => writeln!(out, "sources are healthy, 1 finding; see above")?,
        count => writeln!(out, "sources are healthy, {count} findings; see above")?,
    }
    Ok(good)
}

/// What one tenant answered.
struct Findings<'a> {
    tenant: &'a Tenant,
    clock: &'a Clock,
    sign_in: Result<SignedIn, Error>,
}

struct SignedIn {
    lifetime: Duration,
    /// The permissions in the token, where it can be read.
    roles: Option<Vec<String>>,
    claims: Option<Claims>,
    snapshot: Snapshot,
}

impl<'a> Findings<'a> {
    async fn of(tenant: &'a Tenant, clock: &'a Clock) -> anyhow::Result<Self> {
        let Reader { poller, store } = reader(tenant, clock)?;
        let sign_in = match poller.client.sign_in().await {
            Ok((lifetime, claims)) => {
                poller.once(one_batch).await;
                let roles = claims.as_ref().map(Claims::permissions);
                Ok(SignedIn { lifetime, roles, claims, snapshot: store.snapshot() })
            }
            Err(error) => Err(error),
        };
        Ok(Self { tenant, clock, sign_in })
    }

    /// Whether all that is required works, and something tells whether rooms are up.
    fn is_good(&self) -> bool {
        let Ok(signed_in) = &self.sign_in else { return false };
        let works = |(collector, status): (&Collector, &Status)| {
            let required = self.tenant.source(*collector).enabled == Enabled::Yes;
            // What was not asked, because there was nobody to ask for, is no fault of its own.
            let works = status.state.is_success() || status.state == CollectorState::Starting;
            !required || (works && !status.refused)
        };
        signed_in.snapshot.status.iter().all(works) && signed_in.tells_room_state()
    }

    /// Counts the rooms and devices with a finding.
    fn count(&self) -> usize {
        let Ok(signed_in) = &self.sign_in else { return 0 };
        let fleet = Fleet::at(&signed_in.snapshot, self.clock.now());
        let gaps = coverage::gaps(&signed_in.snapshot, &fleet);
        gaps.iter().filter(|gap| gap.is_finding).map(|gap| gap.of.len()).sum()
    }

    /// The sources that are refused although their permission is in the token, or required: consent is on its way.
    fn awaited(&self) -> Vec<String> {
        let Ok(signed_in) = &self.sign_in else { return Vec::new() };
        let awaited = |(collector, status): &(&Collector, &Status)| {
            let required = self.tenant.source(**collector).enabled == Enabled::Yes;
            status.refused && (required || signed_in.has_permissions(**collector))
        };
        let awaited = signed_in.snapshot.status.iter().filter(awaited);
        awaited.map(|(collector, _)| format!("{} of {}", collector.label(), self.tenant.name)).collect()
    }

    fn tell(&self, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
        writeln!(out, "tenant {} ({})", self.tenant.name, self.tenant.tenant_id)?;
        let signed_in = match &self.sign_in {
            Ok(signed_in) => signed_in,
            Err(error) => {
                let cure = cure_of_sign_in(error, &self.tenant.auth);
                writeln!(out, "  sign-in FAILED: {}\n    to do: {cure}", Line(&error.to_string()))?;
                return Ok(());
            }
        };
        self.tell_token(signed_in, out)?;
        writeln!(out, "  {:<15} {:<45} GRAPH SAYS", "SOURCE", "PERMISSION")?;
        for (collector, status) in signed_in.snapshot.status.iter() {
            self.tell_source(*collector, status, signed_in.has_permissions(*collector), out)?;
        }
        self.tell_missing(signed_in, out)?;
        if !signed_in.tells_room_state() {
            writeln!(out, "\n  no source tells whether rooms are up: neither devices nor presence")?;
        }
        for (name, credential) in signed_in.snapshot.credentials.iter() {
            let (expires, now) = (credential.value.expires, self.clock.now());
            let (word, span) =
                if expires > now { ("in", expires.since(now)) } else { ("since", now.since(expires)) };
            let name = Line(name);
            writeln!(out, "  credential {name} expires {expires} ({word} {})", Span(span))?;
        }
        self.tell_surplus(signed_in, out)?;
        self.tell_coverage(signed_in, out)
    }

    /// Who we are, as the token has it.
    fn tell_token(&self, signed_in: &SignedIn, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
        let (way, lifetime) = (self.tenant.auth.way(), signed_in.lifetime);
        let until = self.clock.now().plus(lifetime);
        writeln!(out, "  sign-in ok: {way}, token for {}, until {until}", Span(lifetime))?;
        let Some(claims) = &signed_in.claims else {
            writeln!(out, "  the token cannot be read; what it allows is not known\n")?;
            return Ok(());
        };
        let app = claims.app_id.as_deref().or(self.tenant.client_id.as_deref()).unwrap_or("unknown");
        let (app, of_tenant) = (Line(app), Line(claims.tenant_id.as_deref().unwrap_or("unknown")));
        let kind = if claims.is_delegated() { "delegated" } else { "application" };
        let mut permissions = claims.permissions().join(", ");
        if permissions.is_empty() {
            "none".clone_into(&mut permissions);
        }
        writeln!(out, "  app {app}, tenant {of_tenant}\n  {kind} permissions: {}\n", Line(&permissions))?;
        Ok(())
    }

    /// Whether a permission for this source would be used: a certificate tells by itself when it expires.
    fn needs_permission(&self, collector: Collector) -> bool {
        let by_itself = collector == Collector::Credentials && !matches!(self.tenant.auth, Auth::Secret(_));
        self.tenant.source(collector).enabled != Enabled::No && !by_itself
    }

    /// The permissions that are missing, source by source, and where an administrator grants them.
    fn tell_missing(&self, signed_in: &SignedIn, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
        let claims = signed_in.claims.as_ref();
        let missing: Vec<_> = signed_in
            .snapshot
            .status
            .iter()
            .filter(|(one, status)| {
                // Calendars may be granted in Exchange, which no token shows.
                self.needs_permission(**one)
                    && !status.state.is_success()
                    && !signed_in.has_permissions(**one)
            })
            .map(|(one, _)| format!("{} ({})", one.facts().permission(), one.label()))
            .collect();
        if claims.is_none() || missing.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n  missing in the token: {}", missing.join(", "))?;
        let consent = match (&self.tenant.auth, self.tenant.client_id.as_deref()) {
            (Auth::Delegated(_), _) => {
                "for a user only devices are read; the rest needs an application that signs in by itself"
                    .to_owned()
            }
            (_, Some(client_id)) => format!(
                "add what you want of it to the application, then an administrator consents at\n      \
                 {}{}/adminconsent?client_id={client_id}",
                self.tenant.authority, self.tenant.tenant_id
            ),
            (_, None) => {
                "a managed identity has no page for consent; docs/sign-in.md shows how it is granted"
                    .to_owned()
            }
        };
        writeln!(out, "    to do: {consent}")?;
        Ok(())
    }

    /// Permissions that no source needs: each is a risk for nothing.
    fn tell_surplus(&self, signed_in: &SignedIn, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
        let on = |one: &&Collector| self.needs_permission(**one);
        let needed: Vec<_> = Collector::ALL.iter().filter(on).map(|collector| collector.facts()).collect();
        let roles = signed_in.roles.as_deref().unwrap_or_default();
        // What `login` asks for.
        let of_login = ["openid", "profile", "email", "offline_access", "User.Read"];
        let is_delegated = signed_in.claims.as_ref().is_some_and(Claims::is_delegated);
        for role in roles.iter().filter(|role| !(is_delegated && of_login.contains(&role.as_str()))) {
            let serves =
                |facts: &Facts| [facts.permissions, facts.optional].concat().contains(&role.as_str());
            if needed.iter().any(serves) {
                continue;
            }
            let narrower = needed.iter().find(|facts| facts.or.contains(&role.as_str()));
            let held = |one: &&str| roles.iter().any(|role| role == one);
            let advice = match narrower {
                Some(facts) if facts.permissions.iter().all(held) => "nothing needs it any more",
                Some(facts) => {
                    writeln!(out, "  surplus: {}; {} is enough", Line(role), facts.permission())?;
                    continue;
                }
                None if role.contains("Write") => {
                    "no source needs it, and it can change things: take it away"
                }
                None => "no source that is on needs it",
            };
            writeln!(out, "  surplus: {}; {advice}", Line(role))?;
        }
        Ok(())
    }

    fn tell_coverage(&self, signed_in: &SignedIn, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
        let fleet = Fleet::at(&signed_in.snapshot, self.clock.now());
        let gaps = coverage::gaps(&signed_in.snapshot, &fleet);
        if !gaps.is_empty() {
            writeln!(out, "\n  gaps:")?;
        }
        for gap in gaps {
            let named = gap.of.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if gap.of.len() > MAX_NAMED { ", ..." } else { "" };
            writeln!(out, "    {} {}: {}{more}", gap.of.len(), gap.what, Line(&named))?;
        }
        let Coverage { rooms, buildings, devices, with_verdict } = Coverage::of(&fleet);
        writeln!(
            out,
            "\n  coverage: {rooms} rooms in {buildings} buildings, {devices} devices, {with_verdict} rooms with a verdict"
        )?;
        for sentence in coverage::advice(&signed_in.snapshot, &fleet) {
            writeln!(out, "    {}", Line(&sentence))?;
        }
        writeln!(out)?;
        Ok(())
    }
}

impl SignedIn {
    fn tells_room_state(&self) -> bool {
        let tells = |(collector, status): (&Collector, &Status)| {
            collector.tells_room_state() && status.state.is_success()
        };
        self.snapshot.status.iter().any(tells)
    }

    fn has_permissions(&self, collector: Collector) -> bool {
        let facts = collector.facts();
        let held = |one: &&str| self.roles.iter().flatten().any(|role| role == one);
        facts.permissions.iter().all(&held) || facts.or.iter().any(held)
    }
}

impl Findings<'_> {
    fn tell_source(
        &self,
        collector: Collector,
        status: &Status,
        permitted: bool,
        out: &mut (dyn Write + Send),
    ) -> anyhow::Result<()> {
        let (facts, label) = (collector.facts(), collector.label());
        let said = match status.state {
            CollectorState::Disabled if is_off(status) => "off by configuration".to_owned(),
            CollectorState::Disabled if !status.refused => {
                let reason = status.reason.as_deref().unwrap_or("not offered");
                format!("off: {reason}; unknown without it: {}", facts.brings)
            }
            CollectorState::Disabled if permitted => {
                "REFUSED, though the token has the permission: consent may take two hours to spread"
                    .to_owned()
            }
            CollectorState::Disabled => format!("off: not permitted; unknown without it: {}", facts.brings),
            CollectorState::Starting => "not asked: no room or device is known to ask for".to_owned(),
            CollectorState::Ok => format!("ok: {} records; {} behind the room", status.items, facts.lag),
            CollectorState::Partial => format!("in part: {} records", status.items),
            state => format!("FAILED ({}): {}", state.label(), facts.resource),
        };
        writeln!(out, "  {label:<15} {:<45} {}", facts.permission(), Line(&said))?;
        let quiet = matches!(status.state, CollectorState::Disabled | CollectorState::Starting);
        if let Some(reason) = status.reason.as_ref().filter(|_| !quiet) {
            writeln!(out, "  {:<15} {}", "", Line(reason))?;
        }
        // A part that is refused is mended as the whole would be.
        let state = if status.refused && status.state.is_success() {
            CollectorState::Forbidden
        } else {
            status.state
        };
        let is_delegated = matches!(self.tenant.auth, Auth::Delegated(_));
        if let Some(cure) = cure(collector, state, is_delegated).filter(|_| !is_off(status)) {
            writeln!(out, "  {:<15} to do: {cure}", "")?;
        }
        if status.skipped_items > 0 {
            writeln!(out, "  {:<15} {} records could not be read", "", status.skipped_items)?;
        }
        Ok(())
    }
}

/// The first batch is enough to see whether the detail answers; the devices that run meetings have most of it.
fn one_batch(mut devices: Vec<Arc<Device>>) -> Vec<Arc<Device>> {
    devices.sort_by_key(|device| device.device_type.role());
    devices.truncate(batch::MAX_ITEMS);
    devices
}

/// By configuration.
fn is_off(status: &Status) -> bool {
    status.state == CollectorState::Disabled && status.last_attempt.is_none()
}

/// What an operator can do about a state.
fn cure(collector: Collector, state: CollectorState, is_delegated: bool) -> Option<String> {
    let permission = collector.facts().permission();
    Some(match state {
        CollectorState::Forbidden | CollectorState::Disabled | CollectorState::Retired
            if collector == Collector::Credentials =>
        {
            format!(
                "write the date down as `auth: {{ client_secret_expires: 2027-01-31 }}`, or grant {permission}; \
                 an application that is registered in another tenant can only do the former"
            )
        }
        CollectorState::Empty if collector == Collector::Credentials => {
            "Graph lists no secret of this application, though it signs in with one".to_owned()
        }
        CollectorState::Forbidden | CollectorState::Disabled if collector == Collector::Calendar => format!(
            "grant the application permission {permission} and have an admin consent; where Exchange allows some \
             mailboxes only, name one of them as `collectors: {{ calendar: {{ mailbox: .. }} }}`"
        ),
        CollectorState::Forbidden if is_delegated => format!(
            "grant the delegated permission {} and have an admin consent; the user needs a role that may see Teams \
             devices, such as Teams Devices Administrator; after consent Graph may refuse for up to two hours",
            collector.facts().permission()
        ),
        CollectorState::Forbidden => format!(
            "grant the application permission {permission} (not the delegated one) and have an admin consent; \
             after consent Graph may refuse for up to two hours"
        ),
        CollectorState::Unauthorized => {
            "check tenant, client id and cloud; Graph does not accept the token, or there is none".to_owned()
        }
        CollectorState::Retired if !matches!(collector, Collector::Devices | Collector::DeviceHealth) => {
            "this tenant or cloud does not offer it; set `enabled: false` for this source".to_owned()
        }
        CollectorState::Retired => {
            "Microsoft has deprecated this API without a successor; this tenant no longer has it".to_owned()
        }
        CollectorState::Throttled => {
            "wait some minutes; other programs may use the same app registration".to_owned()
        }
        CollectorState::Unreachable => {
            "check name resolution, proxy (HTTPS_PROXY) and firewall towards Graph; if it answers 5xx, wait"
                .to_owned()
        }
        CollectorState::Malformed => {
            "an answer without JSON comes from a proxy between here and Graph; a request that Graph refuses, or JSON of \
             another shape, is worth a report with `check --capture`"
                .to_owned()
        }
        CollectorState::Empty if collector == Collector::Presence => {
            "no room account is known to ask for, or Graph answers for none: devices, places or accounts have to tell of \
             rooms first, and their accounts need a licence with Teams"
                .to_owned()
        }
        CollectorState::Empty => {
            "Graph answers with nothing in it: check the tenant, and whether rooms are in the Teams admin center"
                .to_owned()
        }
        CollectorState::Partial => {
            "the rest is used; a part that stays broken is Microsoft's to mend".to_owned()
        }
        _ => return None,
    })
}

fn cure_of_sign_in(error: &Error, auth: &Auth) -> &'static str {
    match (error, auth) {
        (Error::Unauthorized { .. }, Auth::Secret(_)) => {
            "mend the credential named above; the secret is the value, not its ID"
        }
        (Error::Unauthorized { .. }, Auth::Certificate(_)) => {
            "mend what is named above; the certificate of the file must be uploaded to the application"
        }
        (Error::Unauthorized { .. }, Auth::FederatedToken(_)) => {
            "mend what is named above; issuer, subject and audience of the token are those of a federated credential"
        }
        (Error::Unauthorized { .. }, Auth::ManagedIdentity(_)) => {
            "assign the identity to this machine or app"
        }
        (Error::Unauthorized { .. }, Auth::Delegated(_)) => "sign in again with `login`, as the right user",
        (Error::Unreachable { .. }, Auth::ManagedIdentity(_)) => {
            "a managed identity works inside Azure alone: on a machine at 169.254.169.254, which no proxy may take, in \
             App Service and Container Apps by IDENTITY_ENDPOINT and IDENTITY_HEADER"
        }
        (Error::Unreachable { .. }, _) => {
            "check name resolution, proxy (HTTPS_PROXY), ca_file and firewall towards the sign-in host"
        }
        (Error::Throttled, _) => "wait some minutes",
        _ => "check the authority; it does not answer as Entra does",
    }
}
