//! What an access token says, for people: only Graph has a right to rely on it.
//!
//! <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::input::{self, json};

/// Of an access token, what concerns us; whoever it names is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Claims {
    #[serde(rename = "appid", alias = "azp")]
    pub app_id: Option<String>,
    #[serde(rename = "tid")]
    pub tenant_id: Option<String>,
    /// Application permissions; without any the claim is missing.
    #[serde(default)]
    roles: Vec<String>,
    /// Delegated permissions, with blanks between; of a user's token alone.
    #[serde(default)]
    scp: Option<String>,
}

impl Claims {
    /// `None` where the token cannot be read.
    pub fn read(token: &str) -> Option<Self> {
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        json::object(&input::repair(claims)).ok()
    }

    /// Whether it stands for a user, and not for the application itself.
    pub fn is_delegated(&self) -> bool {
        self.scp.is_some()
    }

    /// The permissions in it, of either kind.
    pub fn permissions(&self) -> Vec<String> {
        match &self.scp {
            Some(scopes) => scopes.split_whitespace().map(str::to_owned).collect(),
            None => self.roles.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permissions_of_a_token_are_read_where_it_can_be_read() {
        let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let read = |claims: &str| Claims::read(&token(claims)).expect("JSON");
        let application = read(r#"{"appid":"a","tid":"t","roles":["Place.Read.All"]}"#);
        assert_eq!((application.app_id.as_deref(), application.tenant_id.as_deref()), (Some("a"), Some("t")));
        assert_eq!(
            (application.is_delegated(), application.permissions()),
            (false, vec!["Place.Read.All".to_owned()])
        );
        let user = read(r#"{"azp":"a","scp":"User.Read TeamworkDevice.Read.All"}"#);
        assert_eq!((user.app_id.as_deref(), user.is_delegated()), (Some("a"), true));
        assert_eq!(user.permissions(), ["User.Read", "TeamworkDevice.Read.All"]);
        assert_eq!(read(r#"{"aud":"x"}"#).permissions(), Vec::<String>::new());
        assert_eq!(Claims::read("opaque"), None);
        assert_eq!(Claims::read("a.!!!.b"), None);
    }
}
