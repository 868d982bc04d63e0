//! The routing table of the pretended Graph, and what every operation has in common: token, permission,
//! options.

use std::borrow::Cow;

use super::faults::{Active, Kind};
use super::odata::Query;
use super::reply::{Reply, Stamp};
use super::tenant::Tenant;
use super::token::{self, Token};
use super::{
    applications, batch, calendar, devices, intune, licenses, places, presence, service_health, users,
};

/// One documented operation.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) template: &'static str,
    /// The documented query options, in lower case.
    pub(super) options: &'static [&'static str],
    /// The application permissions of which one is needed, the least first; empty for none of its own.
    pub(super) permissions: &'static [&'static str],
    /// The source it belongs to, by which faults find it; empty for none.
    pub(super) noun: &'static str,
    pub(super) answer: fn(&Call<'_>) -> Result<Reply, Reply>,
}

/// Resources are added here, one file per noun.
fn routes() -> impl Iterator<Item = &'static Route> {
    let nouns = [
        batch::ROUTES,
        devices::ROUTES,
        applications::ROUTES,
        calendar::ROUTES,
        intune::ROUTES,
        licenses::ROUTES,
        places::ROUTES,
        presence::ROUTES,
        service_health::ROUTES,
        users::ROUTES,
    ];
    nouns.into_iter().flatten()
}

/// Write operations that exist in Graph and that nobody may call here: 405, and recorded under their own
/// name.
const WRITES: &[&str] = &[
    "/beta/teamwork/devices/{id}/restart",
    "/beta/teamwork/devices/{id}/runDiagnostics",
    "/beta/teamwork/devices/{id}/updateSoftware",
];

/// A request to Graph, alone or inside a `$batch`.
pub(super) struct GraphRequest<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    /// Scheme and host the client used.
    pub(super) root: &'a str,
    pub(super) authorization: Option<&'a str>,
    pub(super) body: &'a [u8],
    pub(super) in_batch: bool,
    pub(super) stamp: &'a Stamp,
    /// All that are on, whatever source they are about.
    pub(super) faults: &'a Active,
}

/// A request that has found its operation.
pub(super) struct Call<'a> {
    pub(super) tenant: &'a Tenant,
    /// Those that concern the source of the operation.
    pub(super) faults: &'a Active,
    pub(super) noun: &'static str,
    pub(super) request: &'a GraphRequest<'a>,
    pub(super) query: Query,
    /// What stood for the `{...}` of the template, in order.
    pub(super) parameters: Vec<&'a str>,
    /// The moment the data are of, in simulated milliseconds.
    pub(super) moment: i64,
}

impl Call<'_> {
    pub(super) fn parameter(&self, at: usize) -> &str {
        self.parameters.get(at).copied().unwrap_or_default()
    }

    /// A parameter in plain text: addresses are often sent percent-encoded.
    pub(super) fn decoded(&self, at: usize) -> Cow<'_, str> {
        let plus = self.parameter(at).replace('+', "%2B");
        let pairs = url::form_urlencoded::parse(plus.as_bytes());
        pairs.into_iter().next().map_or_else(String::new, |(text, _)| text.into_owned()).into()
    }
}

/// The template the path belongs to, `unknown` if it is none of ours.
pub(super) fn operation(path: &str) -> &'static str {
    templates().find(|template| parameters(template, path).is_some()).unwrap_or("unknown")
}

/// The source the path belongs to; empty if it is none of ours.
pub(super) fn noun(path: &str) -> &'static str {
    let found = routes().find(|route| parameters(route.template, path).is_some());
    found.map_or("", |route| route.noun)
}

pub(super) fn answer(request: &GraphRequest<'_>, tenant: &Tenant) -> Reply {
    let faults = request.faults.of(noun(request.path));
    let token = match authenticate(request, tenant, &faults) {
        Ok(token) => token,
        Err(refusal) => return refusal,
    };
    match &tenant.replay {
        Some((replay, start)) if !request.path.ends_with("/$batch") => replay.answer(request, *start),
        _ => dispatch(request, tenant, &faults, &token).unwrap_or_else(|refusal| refusal),
    }
}

/// Tokens come before everything else, as in Graph.
fn authenticate(request: &GraphRequest<'_>, tenant: &Tenant, faults: &Active) -> Result<Token, Reply> {
    let token = tenant.tokens.check(request.authorization, tenant.clock.elapsed())?;
    if !token.is_for([request.root, &tenant.url]) {
        return Err(token::unauthorized("Access token validation failure. Invalid audience."));
    }
    if !request.in_batch && !token.answers_challenge && faults.strikes(Kind::ClaimsChallenge).is_some() {
        return Err(token::challenge());
    }
    // The items of a batch have the token of the envelope, which has passed already.
    if !request.in_batch && refuses(faults, token.number) {
        return Err(token::unauthorized("Access token has expired or is not yet valid."));
    }
    Ok(token)
}

fn refuses(faults: &Active, token: u64) -> bool {
    let expired = token <= faults.tokens_before && faults.strikes(Kind::ExpiredToken).is_some();
    expired || faults.strikes(Kind::Unauthorized).is_some()
}

fn dispatch(
    request: &GraphRequest<'_>,
    tenant: &Tenant,
    faults: &Active,
    token: &Token,
) -> Result<Reply, Reply> {
    let (route, parameters) = find(request.method, request.path)?;
    if is_missing(route, faults) {
        return Err(not_found(request.path));
    }
    if faults.of_a_source().strikes(Kind::Gone).is_some() {
        return Err(Reply::error(410, "Gone", "The requested resource is no longer available."));
    }
    permit(route, faults, token)?;
    if let Some(refusal) = retired(route, faults) {
        return Err(refusal);
    }
    let query = Query::parse(request.query, route.options)?;
    // What devices report is late; everything else is of now.
    let lag = if devices::is_noun(route.noun) { tenant.device_lag } else { 0 };
    let moment = tenant.moment(faults).saturating_sub(lag);
    let noun = route.noun;
    (route.answer)(&Call { tenant, faults, noun, request, query, parameters, moment })
}

/// Whether this cloud does not have the operation at all.
fn is_missing(route: &Route, faults: &Active) -> bool {
    let in_china = route.noun == presence::NOUN && faults.strikes(Kind::China).is_some();
    in_china || (!route.noun.is_empty() && faults.strikes(Kind::NoSource).is_some())
}

fn find<'a>(method: &str, path: &'a str) -> Result<(&'static Route, Vec<&'a str>), Reply> {
    let of_path = routes().filter_map(|route| Some((route, parameters(route.template, path)?)));
    let found = of_path.into_iter().find(|(route, _)| route.method == method);
    found.ok_or_else(|| if operation(path) == "unknown" { not_found(path) } else { not_allowed(method) })
}

fn not_found(path: &str) -> Reply {
    Reply::error(404, "Request_ResourceNotFound", format!("Resource not found for the segment '{path}'."))
}

fn not_allowed(method: &str) -> Reply {
    Reply::error(405, "Request_MethodNotAllowed", format!("Method {method} is not allowed here."))
}

fn permit(route: &Route, faults: &Active, token: &Token) -> Result<(), Reply> {
    let Some(least) = route.permissions.first() else { return Ok(()) };
    let before_consent =
        token.number <= faults.tokens_before && faults.strikes(Kind::ForbiddenOnceToken).is_some();
    let refused =
        [Kind::Forbidden, Kind::ForbiddenSource].into_iter().any(|kind| faults.strikes(kind).is_some());
    if before_consent || refused {
        return Err(forbidden(route.noun, least, &[]));
    }
    let granted = token.roles.iter().any(|role| route.permissions.contains(&role.as_str()));
    let by_exchange = route.noun == calendar::NOUN && faults.is_on(Kind::ExchangeRbac).is_some();
    if granted || by_exchange { Ok(()) } else { Err(forbidden(route.noun, least, &token.roles)) }
}

/// Every service behind Graph has words of its own for an application without the role.
fn forbidden(noun: &str, permission: &str, roles: &[String]) -> Reply {
    match noun {
        "calendar" | "places" => {
            Reply::error(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        }
        "users" | "licenses" | "applications" => Reply::error(
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        ),
        "presence" => Reply::error(403, "Forbidden", ""),
        "service_health" => Reply::error(403, "UnknownError", ""),
        _ => missing_role(permission, roles),
    }
}

/// The text a vendor reports.
fn missing_role(permission: &str, roles: &[String]) -> Reply {
    let (writing, roles) = (permission.replace("Read.All", "ReadWrite.All"), roles.join(","));
    Reply::error(
        403,
        "Forbidden",
        format!(
            "Missing role permissions on the request. API requires one of '{permission}, {writing}'. Roles on the request '{roles}'."
        ),
    )
}

fn retired(route: &Route, faults: &Active) -> Option<Reply> {
    let fault = faults.is_on(Kind::Retired).filter(|_| route.template.contains("/teamwork/"))?;
    faults.strikes(Kind::Retired)?;
    Some(match fault.number_or(410) {
        404 => Reply::error(404, "ResourceNotFound", "Resource not found for the segment 'devices'."),
        501 => Reply::error(501, "NotImplemented", "The requested resource is not implemented."),
        _ => Reply::error(410, "Gone", "The requested resource is no longer available."),
    })
}

fn templates() -> impl Iterator<Item = &'static str> {
    routes().map(|route| route.template).chain(WRITES.iter().copied())
}

/// What the path has in the places of the template's `{...}`, or nothing if it does not fit.
fn parameters<'a>(template: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut found = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(found),
            (Some(name), Some(segment)) if name.contains('{') => found.push(parameter(name, segment)?),
            (Some(name), Some(segment)) if name == segment => {}
            _ => return None,
        }
    }
}

/// What the segment has in the place of the `{...}`, or nothing if it does not fit.
fn parameter<'a>(template: &str, segment: &'a str) -> Option<&'a str> {
    let (before, rest) = template.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    segment.strip_prefix(before)?.strip_suffix(after).filter(|found| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn faults_know_every_source() {
        let nouns: HashSet<&str> = routes().map(|route| route.noun).filter(|noun| !noun.is_empty()).collect();
        assert_eq!(nouns, crate::sim::faults::SOURCES.into(), "parts included");
    }

    #[test]
    fn paths_find_their_template() {
        for (path, expected) in [
            ("/beta/teamwork/devices", "/beta/teamwork/devices"),
            ("/beta/teamwork/devices/7", "/beta/teamwork/devices/{id}"),
            ("/beta/teamwork/devices/7/health", "/beta/teamwork/devices/{id}/health"),
            ("/beta/teamwork/devices/7/restart", "/beta/teamwork/devices/{id}/restart"),
            ("/v1.0/$batch", "/v1.0/$batch"),
            ("/v1.0/users/a@b.example", "/v1.0/users/{id}"),
            ("/v1.0/places/microsoft.graph.room", "/v1.0/places/microsoft.graph.room"),
            ("/v1.0/applications(appId='7')", "/v1.0/applications(appId='{id}')"),
            ("/v1.0/applications(appId='')", "unknown"),
            ("/v1.0/teamwork/devices", "unknown"),
            ("/teamwork/devices", "unknown"),
            ("/beta/teamwork/devices/", "unknown"),
            ("/", "unknown"),
        ] {
            assert_eq!(operation(path), expected, "{path}");
        }
    }
}
