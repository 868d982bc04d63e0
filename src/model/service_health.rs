//! Whether Microsoft's own services are well.
//!
//! <https://learn.microsoft.com/graph/api/resources/servicehealth>

use serde::{Deserialize, Serialize};

use crate::model::State;

/// The state of one product, and how many issues are open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceHealth {
    pub state: ServiceState,
    pub incidents: u32,
    pub advisories: u32,
}

/// A product whose outage looks like an outage of rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    Teams,
    Exchange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    Operational,
    Degraded,
    Interrupted,
    Recovering,
    Unknown,
}

impl State for Product {
    const ALL: &'static [Self] = &[Self::Teams, Self::Exchange];

    fn label(self) -> &'static str {
        match self {
            Self::Teams => "teams",
            Self::Exchange => "exchange",
        }
    }
}

impl State for ServiceState {
    const ALL: &'static [Self] =
        &[Self::Operational, Self::Degraded, Self::Interrupted, Self::Recovering, Self::Unknown];

    fn label(self) -> &'static str {
        match self {
            Self::Operational => "operational",
            Self::Degraded => "degraded",
            Self::Interrupted => "interrupted",
            Self::Recovering => "recovering",
            Self::Unknown => "unknown",
        }
    }
}
