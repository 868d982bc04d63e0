//! When the secret or certificate expires that the exporter signs in with: `GET /v1.0/applications(appId='...')`.
//!
//! Permission `Application.Read.All`. Graph does not tell which of an application's secrets is in use; of each it shows
//! the first characters, which are compared here and go no further.
//! <https://learn.microsoft.com/graph/api/resources/passwordcredential>

use std::sync::Arc;

use tokio::time::Instant;

use crate::collectors::Outcome;
use crate::collectors::wire::Node;
use crate::graph::{Client, Error, Operation, Workload};
use crate::model::Timestamp;

const OPERATION: Operation = Operation { name: "credentials", workload: Workload::Directory };

/// A secret of the application, as Graph lists it.
struct Listed {
    expires: Timestamp,
    /// Its first characters; secrets of long ago have none.
    hint: Option<Arc<str>>,
}

/// Asks when the secret in use expires. Where a date `is_configured`, it is no failure that Graph may not tell, or that
/// the application is registered in another tenant.
pub async fn collect(
    client: &Client,
    is_configured: bool,
    now: Timestamp,
    deadline: Instant,
) -> (Outcome, Option<Timestamp>) {
    let mut outcome = Outcome::default();
    let path =
        format!("/v1.0/applications(appId='{}')?$select=appId,passwordCredentials", client.client_id());
    let expires = match client.entity(OPERATION, &path, deadline).await {
        Ok(value) => {
            let own = Node::entity(&value).filter(|application| is_own(*application, client.client_id()));
            let listed = own.map(|application| listed(application, &mut outcome));
            listed.ok_or_else(|| Error::malformed("not the application that was asked for"))
        }
        Err(error) => Err(error),
    };
    match expires {
        Ok(listed) => {
            outcome.parts_read = 1;
            let expires = own_expiry(&listed, |hint| client.secret_begins_with(hint), now);
            return (outcome, expires);
        }
        Err(Error::Forbidden { .. } | Error::Absent { .. }) if is_configured => outcome.parts_read = 1,
        Err(error) => outcome.failures.push(("application".to_owned(), error)),
    }
    (outcome, None)
}

/// Of a certificate its file tells, and Graph is not asked.
pub fn of_certificate(not_after: &Result<Timestamp, String>) -> Outcome {
    let mut outcome = Outcome::default();
    match not_after {
        Ok(_) => outcome.parts_read = 1,
        Err(advice) => {
            let error = Error::Unauthorized { advice: advice.clone() };
            outcome.failures.push(("certificate".to_owned(), error));
        }
    }
    outcome
}

fn is_own(application: Node<'_>, client_id: &str) -> bool {
    application.text("appId").is_some_and(|id| id.eq_ignore_ascii_case(client_id))
}

/// `passwordCredential`, those that say when they end.
fn listed(application: Node<'_>, outcome: &mut Outcome) -> Vec<Listed> {
    let mut found = Vec::new();
    for secret in application.nodes("passwordCredentials") {
        match secret.and_then(|secret| Some((secret, secret.time("endDateTime")?))) {
            Some((secret, expires)) => found.push(Listed { expires, hint: secret.text("hint") }),
            None => outcome.skipped.push("a secret without an end".to_owned()),
        }
    }
    found
}

/// When the secret in use expires: of those that begin like it, else of those that do not say how they begin, else of
/// all. Where it could be one of several, the first that will expire; where all have, the last that did.
fn own_expiry(listed: &[Listed], is_own: impl Fn(&str) -> bool, now: Timestamp) -> Option<Timestamp> {
    let expiries = |belongs: &dyn Fn(&Listed) -> bool| -> Vec<Timestamp> {
        listed.iter().filter(|secret| belongs(secret)).map(|secret| secret.expires).collect()
    };
    let possible = [
        expiries(&|secret| secret.hint.as_deref().is_some_and(&is_own)),
        expiries(&|secret| secret.hint.is_none()),
        expiries(&|_| true),
    ];
    let possible = possible.into_iter().find(|expiries| !expiries.is_empty())?;
    possible.iter().filter(|expires| **expires > now).min().or(possible.iter().max()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: i64 = 1_000;

    /// Secrets as hint and expiry; ours begins with `abc`.
    #[track_caller]
    fn check(secrets: &[(Option<&str>, i64)], expected: Option<i64>) {
        let listed: Vec<Listed> = secrets
            .iter()
            .map(|(hint, expires)| Listed {
                expires: Timestamp::from_seconds(*expires),
                hint: hint.map(Into::into),
            })
            .collect();
        let found = own_expiry(&listed, |hint| "abc~def".starts_with(hint), Timestamp::from_seconds(NOW));
        assert_eq!(found.map(Timestamp::seconds), expected, "{secrets:?}");
    }

    #[test]
    fn the_secret_in_use_is_the_one_that_begins_like_ours() {
        check(&[], None);
        check(&[(Some("abc"), 3_000)], Some(3_000));
        check(&[(Some("xyz"), 2_000), (Some("abc"), 3_000), (None, 1_500)], Some(3_000));
        check(&[(Some("abc"), 900), (Some("xyz"), 3_000)], Some(900)); // ours has expired
        check(&[(Some("abc"), 900), (Some("abc"), 3_000), (Some("abc"), 2_000)], Some(2_000));
        check(&[(Some("ABC"), 2_000), (Some("abc"), 3_000)], Some(3_000)); // secrets have a case
    }

    #[test]
    fn where_it_cannot_be_told_the_first_to_expire_counts() {
        check(&[(None, 3_000), (None, 2_000), (Some("xyz"), 1_500)], Some(2_000));
        check(&[(Some("xyz"), 3_000), (Some("uvw"), 2_000), (Some("rst"), 900)], Some(2_000));
        check(&[(Some("xyz"), 700), (Some("uvw"), 900)], Some(900)); // and none that lasts is made up
    }

    #[test]
    fn broken_secrets_are_skipped() {
        let application: Value = json!({ "passwordCredentials": [
            null,
            "a text",
            { "endDateTime": null, "hint": "abc" },
            { "endDateTime": "soon", "hint": "abc" },
            { "endDateTime": "2027-01-31T00:00:00Z", "hint": 7 },
            { "endDateTime": "2027-01-31T00:00:00Z", "hint": "" },
        ] });
        let mut outcome = Outcome::default();
        let listed = listed(Node::new(&application).expect("an object"), &mut outcome);
        assert_eq!((listed.len(), outcome.skipped.len()), (2, 4));
        assert!(listed.iter().all(|secret| secret.hint.is_none()), "an empty hint says nothing");
    }
}
