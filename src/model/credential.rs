//! What the exporter signs in with, and when it stops working.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub expires: Timestamp,
}

/// What the application signs in with: the label `credential`.
pub const CLIENT_SECRET: &str = "client_secret";
pub const CERTIFICATE: &str = "certificate";
