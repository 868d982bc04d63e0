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
    /// When the subscription renews or ends, where Graph tells.
    pub renewal: Option<Timestamp>,
}
