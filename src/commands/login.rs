//! `login`: signs in the user for whom the exporter reads, and keeps the refresh token.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;

use crate::app;
use crate::commands::loopback;
use crate::config::{Auth, Config, Tenant};
use crate::graph::auth::delegated::TokenFile;
use crate::graph::auth::login::{Login, SignedIn};
use crate::graph::{Error, Limits};
use crate::input::shown::Line;
use crate::stats::Stats;

/// How the user signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// By a code that is entered in a browser anywhere.
    DeviceCode,
    /// By a browser on this machine.
    Browser,
}

/// A person finds a password and a second factor in this time; the pages of Entra allow no more.
const PATIENCE: Duration = Duration::from_mins(15);

/// Signs in to the one tenant with `auth: { delegated: .. }`, or to that of this name; true if that worked.
pub async fn run(
    config: &Config,
    name: Option<&str>,
    means: Means,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<bool> {
    let (tenant, file) = choose(&config.tenants, name).map_err(anyhow::Error::msg)?;
    let http = Limits::default().http(app::authorities(tenant)?, tenant.proxies.clone());
    let stats = Stats::new();
    let (client_id, stats) =
        (tenant.client_id.as_deref().unwrap_or_default(), stats.tenant(&tenant.name.as_str().into()));
    let login = Login::new(&tenant.authority, &tenant.tenant_id, client_id, &tenant.graph, &http, stats)?;
    let outcome = match means {
        Means::DeviceCode => by_device_code(&login, out).await?,
        Means::Browser => by_browser(&login, out).await?,
    };
    match outcome {
        Ok(signed_in) => {
            let path = file.path().display();
            file.replace(&signed_in.refresh_token).with_context(|| format!("cannot write {path}"))?;
            let permissions =
                signed_in.claims.map(|claims| Line(&claims.permissions().join(", ")).to_string());
            let permissions = permissions.unwrap_or_else(|| "unknown".to_owned());
            write!(
                out,
                "signed in to {}; permissions: {permissions}\n\
                 the refresh token is in {path}; who runs the exporter must be able to read and replace it\n\
                 next: teams-rooms-exporter check\n",
                tenant.name
            )?;
            Ok(true)
        }
        Err(error) => {
            let told = error.to_string();
            writeln!(out, "sign-in FAILED: {}\n  to do: {}", Line(&told), cure(&error, means))?;
            Ok(false)
        }
    }
}

/// The tenant to sign in to, and where its refresh token goes.
fn choose<'t>(tenants: &'t [Tenant], name: Option<&str>) -> Result<(&'t Tenant, TokenFile), String> {
    let mut delegated = tenants.iter().filter_map(|tenant| match &tenant.auth {
        Auth::Delegated(path) if name.is_none_or(|name| name == tenant.name) => {
            Some((tenant, TokenFile::new(path.clone())))
        }
        _ => None,
    });
    match (delegated.next(), delegated.next(), name) {
        (Some(found), None, _) => Ok(found),
        (Some(_), Some(_), _) => {
            Err("several tenants sign in for a user; choose one with --tenant".to_owned())
        }
        (None, _, Some(name)) if tenants.iter().any(|tenant| tenant.name == name) => {
            Err(format!("the tenant {name} signs in another way; `login` is for `auth: {{ delegated: .. }}`"))
        }
        (None, _, Some(name)) => Err(format!("there is no tenant {name} in the configuration")),
        (None, _, None) => {
            Err("no tenant signs in for a user; write `auth: { delegated: { refresh_token_file: .. } }`"
                .to_owned())
        }
    }
}

async fn by_device_code(
    login: &Login,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Result<SignedIn, Error>> {
    let code = match login.device_code().await {
        Ok(code) => code,
        Err(error) => return Ok(Err(error)),
    };
    write!(
        out,
        "open {} in any browser, enter the code {}\nand sign in as the user for whom the exporter shall read; \
         the code is good for {} minutes\n",
        plain(code.page()),
        plain(code.user_code()),
        code.lifetime().as_secs() / 60,
    )?;
    out.flush()?;
    Ok(login.wait_for(&code).await)
}

async fn by_browser(login: &Login, out: &mut (dyn Write + Send)) -> anyhow::Result<Result<SignedIn, Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen on 127.0.0.1")?;
    // Entra knows `http://localhost` and lets the port differ; a slash at its end would be another address.
    let browser = login.browser(format!("http://localhost:{}", listener.local_addr()?.port()))?;
    write!(
        out,
        "open this address in a browser on this machine, and sign in as the user for whom the exporter shall read:\n\n{}\n\n",
        browser.url
    )?;
    out.flush()?;
    match tokio::time::timeout(PATIENCE, loopback::answer(&listener)).await {
        Ok(query) => Ok(login.redeem(browser, &query?).await),
        Err(_) => Ok(Err(Error::Unauthorized {
            advice: format!("no browser came back within {} minutes", PATIENCE.as_secs() / 60),
        })),
    }
}

/// What a terminal shows as it is.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(200).collect()
}

fn cure(error: &Error, means: Means) -> &'static str {
    match (error, means) {
        (Error::Unauthorized { .. }, Means::DeviceCode) => {
            "mend what is named above; policies often forbid device codes: then `login --browser` may work. The app \
             must allow public client flows (Authentication, Allow public client flows)"
        }
        (Error::Unauthorized { .. }, Means::Browser) => {
            "mend what is named above. The app needs the redirect URI http://localhost of the platform Mobile and \
             desktop applications"
        }
        (Error::Unreachable { .. }, _) => {
            "check name resolution, proxy (HTTPS_PROXY), ca_file and firewall towards the sign-in host"
        }
        (Error::Throttled, _) => "wait some minutes",
        _ => "check the authority; it does not answer as Entra does",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_sends_does_not_steer_the_terminal() {
        assert_eq!(plain("ABC-123\u{1b}[2J\n"), "ABC-123[2J");
    }
}
