//! Series of what the exporter signs in with.

use crate::metrics::Out;
use crate::model::collector::Collector;
use crate::model::credential::{CERTIFICATE, CLIENT_SECRET};
use crate::model::fleet::Fleet;
use crate::model::{Snapshot, Timestamp};

/// Graph knows better than the configuration, in which a renewed secret may have the date of the old one.
pub fn expiry(out: &mut Out<'_>, _: &Fleet<'_>, snapshot: &Snapshot, now: Timestamp) {
    let expiry = snapshot.expiry(Collector::Credentials);
    let told = |name: &str| {
        let record = snapshot.credentials.get(name).filter(|record| now.since(record.read_at) <= expiry);
        record.map(|record| record.value.expires)
    };
    out.known_with(&[("credential", CLIENT_SECRET)], told(CLIENT_SECRET).or(snapshot.secret_expires));
    out.known_with(&[("credential", CERTIFICATE)], told(CERTIFICATE));
}
