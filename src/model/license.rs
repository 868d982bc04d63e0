//! Licences for rooms that the tenant bought.
//!
//! <https://learn.microsoft.com/graph/api/resources/subscribedsku>

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// One product (SKU), by units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct License {
    pub enabled: Option<u32>,
    pub warning: Option<u32>,
    pub suspended: Option<u32>,
    pub locked_out: Option<u32>,
    pub consumed: Option<u32>,
    /// Where Graph tells.
    pub renewal: Option<Renewal>,
}

/// When the first of the product's subscriptions renews or ends. It is read apart from the units, and ages by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    pub at: Timestamp,
    pub read_at: Timestamp,
}
