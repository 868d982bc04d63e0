//! Entra's sign-in error codes in words for the operator.
//!
//! <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

/// What to do about the code that an `error_description` carries; the description itself is not repeated,
/// since it may hold names and ids.
pub(super) fn advice(error: &str, description: &str) -> String {
    let code = code(description);
    match code {
        Some(code) => match words(code) {
            Some(words) => format!("AADSTS{code}: {words}"),
            None => format!("AADSTS{code}: see https://login.microsoftonline.com/error?code={code}"),
        },
        None => match words_of(error) {
            Some(words) => format!("the token endpoint answers `{error}`: {words}"),
            None => format!("the token endpoint answers `{}`", plain(error)),
        },
    }
}

/// What an error of OAuth itself means, where Entra gives no code of its own.
///
/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code>
fn words_of(error: &str) -> Option<&'static str> {
    Some(match error {
        "authorization_declined" | "access_denied" => "the user, or a policy, declined",
        "expired_token" => "the code was not entered in time",
        "bad_verification_code" => "the code is not the one that was given",
        "invalid_grant" => "what was given is no longer valid",
        _ => return None,
    })
}

/// The code by which Entra says that it cannot answer now.
pub(super) fn busy(description: &str) -> Option<u32> {
    code(description).filter(|code| matches!(code, 90055 | 90033 | 90006))
}

fn code(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// An OAuth error code is a short word; anything else comes from a stranger and is not printed.
fn plain(error: &str) -> &str {
    let word = error.len() <= 64 && error.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if word && !error.is_empty() { error } else { "an unknown error" }
}

fn words(code: u32) -> Option<&'static str> {
    Some(match code {
        7_000_215 => "the client secret is wrong; often the secret's ID was pasted instead of its value",
        7_000_222 => "the client secret has expired; create a new one",
        7_000_218 => "no secret or assertion was sent, or the app does not allow public client flows",
        700_016 => "the client id is unknown in this tenant; check both ids, or an admin must consent first",
        7_000_229 => "the app has no service principal in this tenant; an admin must consent",
        700_025 => {
            "the app is a public client, which sends no secret or certificate; sign in with `delegated`"
        }
        700_030 => "the certificate is invalid, or not one that the app trusts",
        7_000_112 | 70001 => "the app is disabled or unknown",
        90002 => "the tenant does not exist; check the tenant id and the cloud",
        900_023 => {
            "the tenant id is neither an id nor a domain; copy the Directory (tenant) ID from the Entra admin center"
        }
        50059 => "the request names no tenant; check the tenant id",
        5_000_225 => {
            "the tenant is blocked because it was not used; an administrator must have Microsoft unblock it"
        }
        500_014 => {
            "the service principal of Microsoft Graph is disabled in this tenant; enable it under Enterprise applications, \
             and check that the tenant has a license"
        }
        900_382 | 900_432 | 90038 => "the app and the tenant live in different clouds; check `cloud`",
        700_027 => {
            "the certificate is not uploaded to the app, or its thumbprint or signature does not match"
        }
        1_000_502 => {
            "the certificate is outside its validity; put a new one in its place, and check the clock"
        }
        700_021 => "the assertion is one for another application; check the client id",
        50012 | 50013 | 500_133 | 700_024 => {
            "the assertion is invalid or outside its validity; check the clock"
        }
        700_211 => "no federated credential of the app names the issuer of the token",
        700_212 => "no federated credential of the app names the audience of the token",
        700_213 => "no federated credential of the app names the subject of the token",
        70021 => "no federated credential matches issuer, subject and audience of the token",
        90061 => "Entra cannot reach the issuer of the federated token",
        65001 | 90094 => "consent is missing; an admin must grant it",
        65004 => "the user declined consent",
        50011 => "the app has no such redirect URI; add http://localhost (Mobile and desktop applications)",
        50053 | 50057 => "the user's account is locked or disabled",
        50055 => "the user's password has expired",
        50105 => "the user is not assigned to the app, which asks for that",
        50126 => "user name or password is wrong",
        50034 => "the user does not exist in this tenant",
        50076 | 50078 | 50079 | 50158 => {
            "multi-factor authentication is demanded; sign in again interactively"
        }
        53003 | 530_032 | 530_034 | 530_036 | 53000 | 53001 => {
            "a Conditional Access or security policy refuses the sign-in"
        }
        700_082 | 700_084 | 70000 | 70008 | 50173 | 70043 => {
            "the refresh token is no longer valid; sign in again"
        }
        70016 => "the device code is not yet entered",
        70018 => "a wrong code was entered; begin again and enter the new code",
        50196 => "Entra sees a request loop; wait some minutes",
        70011 | 28002 | 500_011 => {
            "the scope is unknown in this tenant; the Graph root and the cloud must match"
        }
        9_001_023 | 50194 => "this sign-in needs the tenant's own id, not `common`",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: &str, description: &str, expected: &str) {
        let advice = advice(error, description);
        assert!(advice.starts_with(expected), "{advice}");
    }

    #[test]
    fn codes_become_words_and_strangers_stay_silent() {
        let wrong = "AADSTS7000215: Invalid client secret provided for app 'secret-app'. Trace ID: 1";
        check("invalid_client", wrong, "AADSTS7000215: the client secret is wrong");
        assert!(!advice("invalid_client", wrong).contains("secret-app"));
        check("invalid_client", "AADSTS7000222: expired", "AADSTS7000222: the client secret has expired");
        check("invalid_request", "AADSTS90002: Tenant not found", "AADSTS90002: the tenant does not exist");
        check(
            "invalid_request",
            "AADSTS1: new",
            "AADSTS1: see https://login.microsoftonline.com/error?code=1",
        );
        check("invalid_client", "no code", "the token endpoint answers `invalid_client`");
        check(
            "expired_token",
            "",
            "the token endpoint answers `expired_token`: the code was not entered in time",
        );
        check("<script>", "", "the token endpoint answers `an unknown error`");
    }
}
