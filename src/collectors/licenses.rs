//! Licences for rooms that the tenant has: `GET /v1.0/subscribedSkus`, and until when: `GET /v1.0/directory/subscriptions`.
//!
//! Permission `LicenseAssignment.Read.All`; for the renewals `Organization.Read.All`, which serves for both. Without it there
//! are no renewals, and nothing else is lost.
//! <https://learn.microsoft.com/graph/api/subscribedsku-list>
//! <https://learn.microsoft.com/graph/api/directory-list-subscriptions>

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::collectors::Outcome;
use crate::collectors::wire::Node;
use crate::graph::{Client, Error, Operation, Workload};
use crate::input::json;
use crate::model::Timestamp;
use crate::model::account::Tier;
use crate::model::license::{License, Renewal};

const OPERATION: Operation = Operation { name: "licenses", workload: Workload::Directory };

/// What is known of products: those of Microsoft's licensing reference that are for rooms, and what an operator adds.
/// <https://learn.microsoft.com/entra/identity/users/licensing-service-plan-reference>
#[rustfmt::skip]
const KNOWN: [(&str, &str, Tier); 15] = [
    ("Microsoft_Teams_Rooms_Pro",                              "4cde982a-ede4-4409-9ae6-b003453c8ea6", Tier::Pro),
    ("Microsoft_Teams_Rooms_Pro_without_Audio_Conferencing",   "21943e3a-2429-4f83-84c1-02735cd49e78", Tier::Pro),
    ("Microsoft_Teams_Rooms_Pro_FAC",                          "c25e2b36-e161-4946-bef2-69239729f690", Tier::Pro),
    ("Microsoft_Teams_Rooms_Pro_GCC",                          "31ecb341-2a17-483e-9140-c473006d1e1a", Tier::Pro),
    ("MTR_PREM",                                               "4fb214cb-a430-4a91-9c91-4976763aa78f", Tier::Premium),
    ("MEETING_ROOM",                                           "6070a4c8-34c6-4937-8dfb-39bbc6397a60", Tier::Standard),
    ("MEETING_ROOM_NOAUDIOCONF",                               "61bec411-e46a-4dab-8f46-8b58ec845ffe", Tier::Standard),
    ("MEETING_ROOM_GOV",                                       "9571e9ac-2741-4b63-95fd-a79696f0d0ac", Tier::Standard),
    ("MEETING_ROOM_GOV_NOAUDIOCONF",                           "b4348f75-a776-4061-ac6c-36b9016b01d1", Tier::Standard),
    ("Microsoft_Teams_Rooms_Basic",                            "6af4b3d6-14bb-4a2a-960c-6c902aad34f3", Tier::Basic),
    ("Microsoft_Teams_Rooms_Basic_FAC",                        "a4e376bd-c61e-4618-9901-3fc0cb1b88bb", Tier::Basic),
    ("Microsoft_Teams_Rooms_Basic_without_Audio_Conferencing", "50509a35-f0bd-4c5e-89ac-22f0e16a00f8", Tier::Basic),
    ("MCOCAP",                                                 "295a8eb0-f78d-45c7-8b5b-1eed5ed02dff", Tier::SharedDevice),
    ("MCOCAP_FACULTY",                                         "420c7602-7f70-4895-9394-d3d679ea36fb", Tier::SharedDevice),
    ("MCOCAP_GOV",                                             "b1511558-69bd-4e1b-8270-59ca96dba0f3", Tier::SharedDevice),
];

/// What the licence of each product is for, by its id (`skuId`) in lower case.
#[derive(Clone, Debug)]
pub struct Skus(BTreeMap<Arc<str>, Tier>);

/// The ids of the products that are known: Microsoft's, the same in each tenant.
pub fn known_ids() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(_, id, _)| *id)
}

/// A product of the tenant whose licence makes a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// `skuId`, lower case.
    pub id: Arc<str>,
    /// Part number: the label `sku`.
    pub name: Arc<str>,
    pub license: License,
}

impl Skus {
    /// The products that are known, and those that are `configured`, which win.
    pub fn new(configured: &BTreeMap<String, Tier>) -> Self {
        let known = KNOWN.iter().map(|(_, id, tier)| (Arc::from(*id), *tier));
        let configured = configured.iter().map(|(id, tier)| (id.to_lowercase().into(), *tier));
        Self(known.chain(configured).collect())
    }

    /// What the licence of a product is for.
    pub fn tier(&self, id: &str) -> Tier {
        self.0.get(&*id.to_lowercase()).copied().unwrap_or(Tier::Other)
    }

    /// The products whose licence makes a room.
    pub fn for_rooms(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().filter(|(_, tier)| tier.is_for_rooms()).map(|(id, _)| id)
    }
}

/// The products for rooms that the tenant has; `None` where Graph does not tell.
pub async fn collect(
    client: &Client,
    skus: &Skus,
    now: Timestamp,
    deadline: Instant,
) -> (Outcome, Option<Vec<Product>>) {
    let mut outcome = Outcome::default();
    let path = "/v1.0/subscribedSkus?$select=skuId,skuPartNumber,consumedUnits,prepaidUnits";
    let rows = match read_all(client, path, deadline, product).await {
        Ok((rows, _)) if rows.is_empty() => Err(Error::malformed("the tenant has no product at all")),
        read => read,
    };
    let (rows, missing) = match rows {
        Ok(read) => read,
        Err(error) => {
            outcome.failures.push(("subscribedSkus".to_owned(), error));
            return (outcome, None);
        }
    };
    outcome.parts_read += 1;
    outcome.missing = missing;
    let subscriptions = read_all(client, "/v1.0/directory/subscriptions", deadline, renewal).await;
    let (subscriptions, _) = subscriptions.unwrap_or_default();
    let renewals = renewals(subscriptions.into_iter().flatten());
    let mut products = Vec::new();
    for row in rows {
        let Some(mut product) = row else {
            outcome.skipped.push("a product without an id".to_owned());
            continue;
        };
        if skus.tier(&product.id).is_for_rooms() {
            product.license.renewal = renewals.get(&product.id).map(|at| Renewal { at: *at, read_at: now });
            products.push(product);
        }
    }
    (outcome, Some(products))
}

/// The largest tenants have some hundred products.
const MAX_ROWS: usize = 1000;

/// The rows of a list, `None` for one that cannot be used, and how many more Graph counts.
async fn read_all<T>(
    client: &Client,
    path: &str,
    deadline: Instant,
    read: fn(Node<'_>) -> Option<T>,
) -> Result<(Vec<Option<T>>, usize), Error> {
    let mut rows = Vec::new();
    let mut pages = client.pages(OPERATION, path, deadline)?;
    while let Some(page) = pages.next().await {
        rows.extend(
            page?.read(|item| json::record(item.get()).ok().as_ref().and_then(Node::new).and_then(read)),
        );
        if rows.len() > MAX_ROWS {
            return Err(Error::malformed(format!("more than {MAX_ROWS} products")));
        }
    }
    Ok((rows, pages.tally().missing()))
}

/// `subscribedSku`
fn product(node: Node<'_>) -> Option<Product> {
    let id: Arc<str> = node.id("skuId")?.to_lowercase().into();
    let known = KNOWN.iter().find(|(_, known, _)| **known == *id).map(|(name, ..)| Arc::from(*name));
    let units = |name| node.node("prepaidUnits")?.count(name);
    let license = License {
        enabled: units("enabled"),
        warning: units("warning"),
        suspended: units("suspended"),
        locked_out: units("lockedOut"),
        consumed: node.count("consumedUnits"),
        renewal: None,
    };
    Some(Product {
        name: known.or_else(|| node.id("skuPartNumber")).unwrap_or_else(|| id.clone()),
        id,
        license,
    })
}

/// The product of an active subscription, and the time of its renewal or end (`companySubscription`).
fn renewal(node: Node<'_>) -> Option<(Arc<str>, Timestamp)> {
    let over = |status: &str| OVER.iter().any(|over| over.eq_ignore_ascii_case(status));
    if node.text("status").is_some_and(|status| over(&status)) {
        return None;
    }
    Some((node.id("skuId")?.to_lowercase().into(), node.time("nextLifecycleDateTime")?))
}

/// The first renewal of each product.
fn renewals(subscriptions: impl Iterator<Item = (Arc<str>, Timestamp)>) -> BTreeMap<Arc<str>, Timestamp> {
    let mut renewals: BTreeMap<Arc<str>, Timestamp> = BTreeMap::new();
    for (id, at) in subscriptions {
        let first = renewals.entry(id).or_insert(at);
        *first = at.min(*first);
    }
    renewals
}

/// What is no longer in force has nothing to renew; its next date is when its data go.
const OVER: [&str; 3] = ["Suspended", "LockedOut", "Deleted"];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn products_are_told_by_id_in_any_case_and_the_operator_knows_better() {
        let configured = [("AAAA0000-0000-4000-8000-000000000001", Tier::Pro), (KNOWN[12].1, Tier::Other)];
        let skus = Skus::new(&configured.map(|(id, tier)| (id.to_owned(), tier)).into());
        assert_eq!(skus.tier("4CDE982A-EDE4-4409-9AE6-B003453C8EA6"), Tier::Pro);
        assert_eq!(skus.tier("aaaa0000-0000-4000-8000-000000000001"), Tier::Pro);
        assert_eq!(skus.tier(KNOWN[12].1), Tier::Other, "shared devices that are phones");
        assert_eq!(skus.tier("05e9a617-0261-4cee-bb44-138d3ef5d965"), Tier::Other);
        assert_eq!(skus.for_rooms().count(), KNOWN.len());
    }

    #[test]
    fn every_known_product_stands_once() {
        let ids: std::collections::BTreeSet<_> = KNOWN.iter().map(|(_, id, _)| id).collect();
        let names: std::collections::BTreeSet<_> = KNOWN.iter().map(|(name, ..)| name).collect();
        assert_eq!((ids.len(), names.len()), (KNOWN.len(), KNOWN.len()));
        assert!(ids.iter().all(|id| **id == id.to_lowercase()));
    }

    #[test]
    fn a_product_is_read_from_what_is_there() {
        let read = |value: Value| Node::new(&value).and_then(product);
        let known = read(json!({
            "skuId": "4CDE982A-EDE4-4409-9AE6-B003453C8EA6", "skuPartNumber": "renamed", "consumedUnits": 3,
            "prepaidUnits": { "enabled": 5, "warning": null, "suspended": -1 }
        }));
        let license = License { enabled: Some(5), consumed: Some(3), ..License::default() };
        let pro = Product { id: KNOWN[0].1.into(), name: KNOWN[0].0.into(), license };
        assert_eq!(known, Some(pro));
        let other =
            read(json!({ "skuId": "X", "skuPartNumber": "MTR_DOD", "prepaidUnits": 7 })).expect("a product");
        assert_eq!((&*other.name, other.license), ("MTR_DOD", License::default()));
        assert_eq!(&*read(json!({ "skuId": "X" })).expect("a product").name, "x");
        assert_eq!(read(json!({ "skuPartNumber": "MTR_DOD" })), None);
    }

    #[test]
    fn the_first_subscription_in_force_tells_the_renewal() {
        let row = |id: &str, status: &str, day: &str| json!({ "skuId": id, "status": status, "nextLifecycleDateTime": format!("2027-01-{day}T00:00:00Z") });
        let rows = [
            row("A", "Enabled", "20"),
            row("a", "Warning", "10"),
            row("a", "deleted", "01"),
            json!({ "skuId": "b", "status": "Enabled", "nextLifecycleDateTime": null }),
            json!(7),
        ];
        let found = renewals(rows.iter().filter_map(Node::new).filter_map(renewal));
        let at = Timestamp::parse("2027-01-10T00:00:00Z").expect("a time");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("a".into(), at)]);
    }
}
