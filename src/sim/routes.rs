//! The routing table of the pretended Graph, and what every operation has in common: token, permission,
//! options.

use super::devices;
use super::faults::{Active, Kind};
use super::odata::Query;
use super::reply::{Reply, Stamp};
use super::tenant::Tenant;
use super::{batch, token};

/// One documented operation.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) template: &'static str,
    /// The documented query options, in lower case.
    pub(super) options: &'static [&'static str],
    /// The application permission it needs; empty for none of its own.
    pub(super) permission: &'static str,
    pub(super) answer: fn(&Call<'_>) -> Result<Reply, Reply>,
}

/// Resources are added here, one file per noun.
fn routes() -> impl Iterator<Item = &'static Route> {
    batch::ROUTES.iter().chain(devices::ROUTES)
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
}

/// A request that has found its operation.
pub(super) struct Call<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) faults: &'a Active,
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
}

/// The template the path belongs to, `unknown` if it is none of ours.
pub(super) fn operation(path: &str) -> &'static str {
    templates().find(|template| parameters(template, path).is_some()).unwrap_or("unknown")
}

pub(super) fn answer(request: &GraphRequest<'_>, tenant: &Tenant, faults: &Active) -> Reply {
    authenticate(request, tenant, faults)
        .and_then(|token| dispatch(request, tenant, faults, token))
        .unwrap_or_else(|refusal| refusal)
}

/// The number of the token. Tokens come before everything else, as in Graph.
fn authenticate(request: &GraphRequest<'_>, tenant: &Tenant, faults: &Active) -> Result<u64, Reply> {
    let number = tenant.tokens.check(request.authorization, tenant.clock.elapsed())?;
    // The items of a batch have the token of the envelope, which has passed already.
    if !request.in_batch && refuses(faults, number) {
        return Err(token::unauthorized("Access token has expired or is not yet valid."));
    }
    Ok(number)
}

fn refuses(faults: &Active, token: u64) -> bool {
    let expired = token <= faults.tokens_before && faults.strikes(Kind::ExpiredToken).is_some();
    expired || faults.strikes(Kind::Unauthorized).is_some()
}

fn dispatch(
    request: &GraphRequest<'_>,
    tenant: &Tenant,
    faults: &Active,
    token: u64,
) -> Result<Reply, Reply> {
    let (route, parameters) = find(request.method, request.path)?;
    permit(route, faults, token)?;
    if let Some(refusal) = retired(route, faults) {
        return Err(refusal);
    }
    let query = Query::parse(request.query, route.options)?;
    let moment = tenant.moment(faults);
    (route.answer)(&Call { tenant, faults, request, query, parameters, moment })
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

fn permit(route: &Route, faults: &Active, token: u64) -> Result<(), Reply> {
    if route.permission.is_empty() {
        return Ok(());
    }
    let before_consent = token <= faults.tokens_before && faults.strikes(Kind::ForbiddenOnceToken).is_some();
    if before_consent || faults.strikes(Kind::Forbidden).is_some() {
        return Err(forbidden(route.permission));
    }
    Ok(())
}

/// The text a vendor reports for an application without the role.
fn forbidden(permission: &str) -> Reply {
    let writing = permission.replace("Read.All", "ReadWrite.All");
    Reply::error(
        403,
        "Forbidden",
        format!(
            "Missing role permissions on the request. API requires one of '{permission}, {writing}'. Roles on the request ''."
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
            (Some(name), Some(segment)) if name.starts_with('{') && !segment.is_empty() => {
                found.push(segment);
            }
            (Some(name), Some(segment)) if name == segment => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_template() {
        for (path, expected) in [
            ("/beta/teamwork/devices", "/beta/teamwork/devices"),
            ("/beta/teamwork/devices/7", "/beta/teamwork/devices/{id}"),
            ("/beta/teamwork/devices/7/health", "/beta/teamwork/devices/{id}/health"),
            ("/beta/teamwork/devices/7/restart", "/beta/teamwork/devices/{id}/restart"),
            ("/v1.0/$batch", "/v1.0/$batch"),
            ("/v1.0/teamwork/devices", "unknown"),
            ("/teamwork/devices", "unknown"),
            ("/beta/teamwork/devices/", "unknown"),
            ("/", "unknown"),
        ] {
            assert_eq!(operation(path), expected, "{path}");
        }
    }
}
