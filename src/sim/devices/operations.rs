//! `teamworkDeviceOperation`: the commands sent to a device lately; here the nightly restarts.

use serde_json::{Value, json};

use super::{find, real, time};
use crate::sim::faults::Kind;
use crate::sim::odata;
use crate::sim::profile::{Profile, whole_seconds};
use crate::sim::reply::Reply;
use crate::sim::routes::Call;
use crate::sim::spoil;
use crate::sim::world::{Device, Part};

const PROPERTIES: &[&str] = &[
    "id",
    "completedDateTime",
    "createdBy",
    "createdDateTime",
    "error",
    "lastActionBy",
    "lastActionDateTime",
    "operationType",
    "startedDateTime",
    "status",
];

/// How many nights an operation is remembered.
const NIGHTS: usize = 3;

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Reply> {
    let entry = find(call)?;
    let mut operations = operations(call, &call.tenant.world.device(&entry));
    if call.faults.strikes(Kind::Empty).is_some() {
        operations.clear();
    }
    for operation in &mut operations {
        odata::select(operation, call.query.get("$select"), PROPERTIES)?;
        *operation = spoil::row(call, entry.id, operation.take());
    }
    let root = &call.tenant.url;
    Ok(Reply::json(json!({
        "@odata.context": format!("{root}/beta/$metadata#teamwork/devices(%27{}%27)/operations", entry.id),
        "@odata.count": operations.len(),
        "value": operations,
    })))
}

pub(super) fn get(call: &Call<'_>) -> Result<Reply, Reply> {
    let entry = find(call)?;
    let operations = operations(call, &call.tenant.world.device(&entry));
    let wanted =
        operations.into_iter().find(|operation| operation.get("id") == Some(&call.parameter(1).into()));
    let mut operation = wanted.ok_or_else(|| Reply::error(404, "NotFound", "Operation not found."))?;
    odata::select(&mut operation, call.query.get("$select"), PROPERTIES)?;
    Ok(Reply::json(spoil::entity(call, entry.id, operation)))
}

/// The newest first; a device that is gone was told nothing.
fn operations(call: &Call<'_>, device: &Device) -> Vec<Value> {
    if matches!(device.part, Part::Bare | Part::Replaced(_)) {
        return Vec::new();
    }
    let nightly = device.nightly();
    let restarts = nightly.before(call.moment).take_while(|restart| restart.from >= device.enrolled);
    let restarted = restarts.take(NIGHTS).map(|restart| restarted(device, restart.from, restart.until));
    let mut operations: Vec<Value> = restarted.collect();
    if call.tenant.profile == Profile::Real {
        operations.iter_mut().for_each(reshape);
    }
    operations
}

/// No capture shows an operation: its times and its author are taken to be those of a device.
fn reshape(operation: &mut Value) {
    if let Some(members) = operation.as_object_mut() {
        members.insert("createdBy".to_owned(), real::admin());
        members.insert("lastActionBy".to_owned(), real::admin());
    }
    whole_seconds(operation);
}

fn restarted(device: &Device, from: i64, until: i64) -> Value {
    let by = json!({
        "application": null,
        "device": null,
        "user": {
            "id": "9c8b7a6d-5e4f-4031-8291-a0b1c2d3e4f5",
            "displayName": "AV Operations",
            "userIdentityType": "aadUser",
        },
    });
    json!({
        "id": device.chance.named("operation").number(from).guid().to_string(),
        "operationType": "deviceRestart",
        "status": "Successful",
        "error": null,
        "createdDateTime": time(from - 3_000),
        "startedDateTime": time(from),
        "completedDateTime": time(until),
        "lastActionDateTime": time(until),
        "createdBy": by,
        "lastActionBy": by,
    })
}
