//! `$batch`: up to twenty requests in one, answered one by one and in no order.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::faults::Kind;
use super::reply::Reply;
use super::requests::RecordedRequest;
use super::routes::{self, Call, GraphRequest, Route};
use super::server;

/// Microsoft's limit.
const MOST_ITEMS: usize = 20;

pub(super) const ROUTES: &[Route] = &[
    Route { method: "POST", template: "/beta/$batch", options: &[], permissions: &[], noun: "", answer },
    Route { method: "POST", template: "/v1.0/$batch", options: &[], permissions: &[], noun: "", answer },
];

/// One request of the envelope.
struct Item<'a> {
    id: &'a str,
    method: String,
    url: &'a str,
    body: Vec<u8>,
    depends_on: Vec<&'a str>,
}

fn answer(call: &Call<'_>) -> Result<Reply, Reply> {
    if call.request.in_batch {
        return Err(Reply::bad_request("A batch request cannot contain another batch request."));
    }
    let envelope: Value = serde_json::from_slice(call.request.body)
        .map_err(|_| Reply::bad_request("Unable to read JSON request payload."))?;
    let items = items(&envelope)?;
    let mut statuses = HashMap::new();
    let mut responses = Vec::new();
    for item in &items {
        let reply = answer_item(call, item, &statuses);
        statuses.insert(item.id, reply.status);
        responses.push(response(call, item, &reply));
    }
    if let Some(lost) = items.iter().position(|item| is_short(call, item)) {
        responses.remove(lost);
    }
    leave_out(call, &mut responses);
    shuffle(call, &mut responses);
    Ok(Reply::json(json!({"responses": responses})))
}

/// The sources a batch reads from; none if the body is no batch.
pub(super) fn nouns(path: &str, body: &[u8]) -> Vec<&'static str> {
    let version = path.trim_end_matches("/$batch");
    let envelope: Value = serde_json::from_slice(body).unwrap_or_default();
    let items = items(&envelope).unwrap_or_default();
    let paths = items.iter().map(|item| format!("{version}/{}", item.url));
    paths.map(|path| routes::noun(path.split('?').next().unwrap_or_default())).collect()
}

fn items(envelope: &Value) -> Result<Vec<Item<'_>>, Reply> {
    let requests = envelope.get("requests").and_then(Value::as_array);
    let requests =
        requests.ok_or_else(|| Reply::bad_request("The 'requests' property is missing or no array."))?;
    if requests.len() > MOST_ITEMS {
        let message = "Number of batch request steps exceeds the maximum value of 20.";
        return Err(Reply::bad_request(message));
    }
    let items: Vec<Item<'_>> = requests.iter().map(item).collect::<Option<_>>().ok_or_else(|| {
        Reply::bad_request("Every request of a batch needs an 'id', a 'method' and a relative 'url'.")
    })?;
    let ids: HashSet<&str> = items.iter().map(|item| item.id).collect();
    if ids.len() < items.len() {
        return Err(Reply::bad_request("Request Id is not unique in the batch."));
    }
    Ok(items)
}

/// A body needs its content type, as documented; without one the item is malformed.
fn item(request: &Value) -> Option<Item<'_>> {
    let text = |name: &str| request.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let body = request.get("body").map(Value::to_string);
    if body.is_some() && !has_content_type(request) {
        return None;
    }
    let url = text("url").filter(|url| !url.contains("://"))?;
    let depends_on = request.get("dependsOn").and_then(Value::as_array).into_iter().flatten();
    Some(Item {
        id: text("id")?,
        method: text("method")?.to_ascii_uppercase(),
        url: url.trim_start_matches('/'),
        body: body.unwrap_or_default().into_bytes(),
        depends_on: depends_on.filter_map(Value::as_str).collect(),
    })
}

fn has_content_type(request: &Value) -> bool {
    let headers = request.get("headers").and_then(Value::as_object);
    headers.is_some_and(|headers| headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")))
}

/// Returns true if answers from the source of an item are left out.
fn is_short(call: &Call<'_>, item: &Item<'_>) -> bool {
    let path = format!("{}/{}", call.request.path.trim_end_matches("/$batch"), item.url);
    let noun = routes::noun(path.split('?').next().unwrap_or_default());
    call.request.faults.of(noun).strikes(Kind::Short).is_some()
}

fn answer_item(call: &Call<'_>, item: &Item<'_>, statuses: &HashMap<&str, u16>) -> Reply {
    let version = call.request.path.trim_end_matches("/$batch");
    let target = format!("{version}/{}", item.url);
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let faults = call.request.faults.of(routes::noun(path));
    let failed = |id: &&str| statuses.get(id).is_none_or(|status| *status >= 400);
    let reply = if item.depends_on.iter().any(failed) {
        Reply::error(424, "FailedDependency", "A request this one depends on has failed.")
    } else if let Some(fault) = faults.strikes(Kind::ThrottleItems) {
        Reply::throttled().with_header("Retry-After", fault.value_or("1"))
    // What is kept to a source strikes the items that read from it; everything else has struck the envelope.
    } else if let Some(reply) = server::instead(&faults.of_a_source(), call.request.stamp) {
        reply
    } else {
        let request = GraphRequest {
            method: &item.method,
            path,
            query,
            body: &item.body,
            in_batch: true,
            ..*call.request
        };
        routes::answer(&request, call.tenant)
    };
    record(call, item, &target, path, reply.status);
    reply
}

fn record(call: &Call<'_>, item: &Item<'_>, target: &str, path: &str, status: u16) {
    call.tenant.requests.record([RecordedRequest {
        method: item.method.clone(),
        path: target.to_owned(),
        host: call.request.root.trim_start_matches("http://").to_owned(),
        operation: routes::operation(path).to_owned(),
        status,
        authorization: call.request.authorization.is_some(),
        in_batch: true,
    }]);
}

fn response(call: &Call<'_>, item: &Item<'_>, reply: &Reply) -> Value {
    let mut headers = Map::new();
    headers.insert("Cache-Control".to_owned(), "no-cache".into());
    headers.insert("Content-Type".to_owned(), reply.content_type().into());
    headers.extend(reply.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())));
    json!({"id": item.id, "status": reply.status, "headers": headers, "body": reply.value(call.request.stamp)})
}

fn leave_out(call: &Call<'_>, responses: &mut Vec<Value>) {
    if call.faults.strikes(Kind::BatchMissingItem).is_some() {
        responses.pop();
    }
}

/// Graph promises no order, so every envelope is shuffled differently, but the same way each time.
fn shuffle(call: &Call<'_>, responses: &mut [Value]) {
    let turn = call.tenant.world.seed().named("batch").named(&String::from_utf8_lossy(call.request.body));
    fastrand::Rng::with_seed(turn.seed()).shuffle(responses);
}
