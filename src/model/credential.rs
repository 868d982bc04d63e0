//! What the exporter signs in with, and when it stops working.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub expires: Timestamp,
}

/// The name of the secret of the application: the label `credential`.
pub const CLIENT_SECRET: &str = "client_secret";
