//! `admin/serviceAnnouncement`: the health of Microsoft's own services, and what happened to them.

use serde_json::{Value, json};

use super::faults::Kind;
use super::odata::Filter;
use super::pages::{self, List, MostTop};
use super::reply::{Reply, graph_time};
use super::routes::{Call, Route};
use super::world::timestamp;

const NOUN: &str = "service_health";

pub(super) const ROUTES: &[Route] = &[
    route("/v1.0/admin/serviceAnnouncement/healthOverviews", overviews),
    route("/v1.0/admin/serviceAnnouncement/issues", issues),
];

const fn route(template: &'static str, answer: fn(&Call<'_>) -> Result<Reply, Reply>) -> Route {
    Route {
        method: "GET",
        template,
        options: &["$filter", "$select", "$top", "$skip", "$count", "$expand", "$skiptoken"],
        permissions: &["ServiceHealth.Read.All"],
        noun: NOUN,
        answer,
    }
}

/// Microsoft's default and limit of issues in a page; overviews have the same default.
const DEFAULT_TOP: usize = 100;
const MOST_TOP: usize = 1_000;

const OVERVIEW: &[&str] = &["id", "service", "status", "issues"];
const ISSUE: &[&str] = &[
    "id",
    "classification",
    "details",
    "endDateTime",
    "feature",
    "featureGroup",
    "impactDescription",
    "isResolved",
    "lastModifiedDateTime",
    "origin",
    "posts",
    "service",
    "startDateTime",
    "status",
    "title",
];

const TEAMS: &str = "Microsoft Teams";

/// Id, name, prefix of its issues.
const SERVICES: [(&str, &str, &str); 6] = [
    ("Exchange", "Exchange Online", "EX"),
    ("microsoftteams", TEAMS, "TM"),
    ("SharePoint", "SharePoint Online", "SP"),
    ("OSDPPlatform", "Microsoft 365 suite", "MO"),
    ("Intune", "Microsoft Intune", "IT"),
    ("OneDriveForBusiness", "OneDrive for Business", "OD"),
];

/// What happened before the start: one issue every three days, all over but one.
const PAST_ISSUES: usize = 130;
const DAY: i64 = 24 * 3_600_000;

struct Issue {
    id: String,
    service: &'static str,
    classification: &'static str,
    status: String,
    from: i64,
    until: Option<i64>,
}

fn overviews(call: &Call<'_>) -> Result<Reply, Reply> {
    let issues = all(call);
    let list = List {
        context: "admin/serviceAnnouncement/healthOverviews",
        properties: OVERVIEW,
        default_top: DEFAULT_TOP,
        most_top: MostTop::Cut(MOST_TOP),
        is_linked: true,
        count: Some(SERVICES.len()),
    };
    let filter = filter(call)?;
    let mut services = SERVICES.to_vec();
    services.retain(|service| {
        filter.as_ref().is_none_or(|filter| matches(filter, &overview(call, &issues, service)))
    });
    pages::answer(call, &list, services, |(id, ..)| *id, |service| overview(call, &issues, service))
}

/// A service is as its gravest open issue.
fn overview(call: &Call<'_>, issues: &[Issue], (id, service, _): &(&str, &str, &str)) -> Value {
    let of_service = || issues.iter().filter(|issue| issue.service == *service);
    let mut open: Vec<&Issue> = of_service().filter(|issue| issue.until.is_none()).collect();
    open.sort_by_key(|issue| issue.classification);
    let status = open.last().map_or("serviceOperational", |issue| issue.status.as_str());
    let mut overview = json!({"id": id, "service": service, "status": status});
    let expands = call.query.get("$expand").is_some_and(|expand| expand.contains("issues"));
    if let (true, Some(members)) = (expands, overview.as_object_mut()) {
        members.insert("issues".to_owned(), of_service().map(write).collect());
    }
    overview
}

fn issues(call: &Call<'_>) -> Result<Reply, Reply> {
    let filter = filter(call)?;
    let mut issues = all(call);
    issues.retain(|issue| filter.as_ref().is_none_or(|filter| matches(filter, &write(issue))));
    let list = List {
        context: "admin/serviceAnnouncement/issues",
        properties: ISSUE,
        default_top: DEFAULT_TOP,
        most_top: MostTop::Cut(MOST_TOP),
        is_linked: true,
        count: Some(issues.len()),
    };
    pages::answer(call, &list, issues, |issue| issue.id.clone(), write)
}

fn filter(call: &Call<'_>) -> Result<Option<Filter>, Reply> {
    let ignored = call.faults.strikes(Kind::IgnoreFilter).is_some();
    call.query.get("$filter").filter(|_| !ignored).map(Filter::parse).transpose()
}

fn matches(filter: &Filter, row: &Value) -> bool {
    filter.matches(&|property: &str| match row.get(property)? {
        Value::String(text) => Some(text.clone()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    })
}

/// The newest first.
fn all(call: &Call<'_>) -> Vec<Issue> {
    let present = [
        (Kind::TeamsIncident, "incident", "serviceDegradation"),
        (Kind::TeamsAdvisory, "advisory", "investigating"),
    ];
    let present =
        present.into_iter().zip(900_001..).filter_map(|((kind, classification, status), number)| {
            let fault = call.faults.is_on(kind)?;
            Some(Issue {
                id: format!("TM{number}"),
                service: TEAMS,
                classification,
                status: fault.value_or(status).to_owned(),
                from: call.faults.since,
                until: None,
            })
        });
    present.chain((0..PAST_ISSUES).map(|number| past(call, number))).collect()
}

fn past(call: &Call<'_>, number: usize) -> Issue {
    let draw = call.tenant.world.seed().named("issue").number(i64::try_from(number).unwrap_or(i64::MAX));
    let (_, service, prefix) = SERVICES.get(number % SERVICES.len()).copied().unwrap_or(SERVICES[0]);
    let age = i64::try_from(number).unwrap_or(i64::MAX).saturating_add(1).saturating_mul(3 * DAY);
    let from = call.tenant.world.started() - age + draw.named("hour").between(0, 20) * 3_600_000;
    // The one that is still open is about files.
    let is_open = number == 2;
    let is_incident = !is_open && draw.named("incident").happens(0.3);
    Issue {
        id: format!("{prefix}{}", 800_000 - number),
        service,
        classification: if is_incident { "incident" } else { "advisory" },
        status: if is_open { "restoringService" } else { "serviceRestored" }.to_owned(),
        from,
        until: (!is_open).then(|| from + draw.named("length").between(1, 30) * 3_600_000),
    }
}

fn write(issue: &Issue) -> Value {
    let text = format!("Some users of {} may see an invented problem.", issue.service);
    let modified = graph_time(timestamp(issue.until.unwrap_or(issue.from)));
    json!({
        "id": issue.id,
        "title": text,
        "impactDescription": text,
        "service": issue.service,
        "feature": "Meetings",
        "featureGroup": "Calling and meetings",
        "classification": issue.classification,
        "origin": "microsoft",
        "status": issue.status,
        "isResolved": issue.until.is_some(),
        "startDateTime": graph_time(timestamp(issue.from)),
        "endDateTime": issue.until.map(|until| graph_time(timestamp(until))),
        "lastModifiedDateTime": modified,
        "details": [],
        "posts": [{
            "createdDateTime": modified,
            "postType": "regular",
            "description": {"contentType": "html", "content": format!("<p>{text}</p>")},
        }],
    })
}
