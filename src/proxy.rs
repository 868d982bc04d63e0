//! The proxies of the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, checked when they are read.
//!
//! The HTTP library reads them too, but ignores what it cannot parse and goes direct, or sends a password that it cut at a
//! `#`. Here a wrong value is an error that names the place. No message shows the value: a password may be in it.

use std::fmt;

use percent_encoding::NON_ALPHANUMERIC;
use url::Url;

/// The proxies of requests. By default requests go direct.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    /// The hosts that are reached directly, as the HTTP library takes them.
    bypass: String,
}

/// A variable that cannot be used, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    pub variable: &'static str,
    pub reason: String,
}

/// Passwords stay out of every message.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |url: &Option<Url>| url.as_ref().and_then(Url::host_str).map(str::to_owned);
        let (http, https) = (host(&self.http), host(&self.https));
        f.debug_struct("Proxies").field("http", &http).field("https", &https).finish_non_exhaustive()
    }
}

impl Proxies {
    /// Reads the variables; of each the upper case goes before the lower case, and an empty one counts as unset.
    pub fn read(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Wrong> {
        let of = |names: [&'static str; 2]| {
            names
                .into_iter()
                .find_map(|name| env(name).filter(|value| !value.is_empty()).map(|value| (name, value)))
        };
        let address = |found: Option<(&'static str, String)>| {
            let read = |(variable, text): (&'static str, String)| {
                address(&text).map_err(|reason| Wrong { variable, reason })
            };
            found.map(read).transpose()
        };
        let all = address(of(["ALL_PROXY", "all_proxy"]))?;
        // Servers that run CGI programs let clients set HTTP_PROXY (httpoxy).
        let http = if env("REQUEST_METHOD").is_none() { of(["HTTP_PROXY", "http_proxy"]) } else { None };
        let https = address(of(["HTTPS_PROXY", "https_proxy"]))?;
        let bypass = of(["NO_PROXY", "no_proxy"])
            .map(|(variable, text)| bypass(&text).map_err(|reason| Wrong { variable, reason }));
        Ok(Self {
            http: address(http)?.or_else(|| all.clone()),
            https: https.or(all),
            bypass: bypass.transpose()?.unwrap_or_default(),
        })
    }

    /// The client goes through these proxies and no others.
    pub fn apply(&self, client: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, reqwest::Error> {
        let mut client = client.no_proxy();
        let bypass = || reqwest::NoProxy::from_string(&self.bypass);
        if let Some(url) = &self.http {
            client = client.proxy(reqwest::Proxy::http(url.clone())?.no_proxy(bypass()));
        }
        if let Some(url) = &self.https {
            client = client.proxy(reqwest::Proxy::https(url.clone())?.no_proxy(bypass()));
        }
        Ok(client)
    }
}

/// The address of a proxy, with the user and password that go to it.
fn address(text: &str) -> Result<Url, String> {
    check_characters(text)?;
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let (scheme, rest) = whole.split_once("://").unwrap_or_default();
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err("only proxies of http:// and https:// are supported".to_owned());
    }
    // A path means nothing here, so that a slash before an `@` is one of a password.
    match (rest.rfind('@'), rest.find('/')) {
        (Some(at), Some(slash)) if slash < at => return Err(encode(text, '/', "%2F")),
        _ => {}
    }
    if rest.matches('@').count() > 1 {
        return Err(encode(text, '@', "%40"));
    }
    let url = Url::parse(&whole).ok().filter(Url::has_host);
    let url = url.ok_or("is not an address; write it like http://proxy.corp.example:3128")?;
    if url.path().len() > 1 {
        return Err("has a path; write it like http://proxy.corp.example:3128".to_owned());
    }
    Ok(url)
}

/// Rejects what a URL has only in percent-encoded form, at its place.
fn check_characters(text: &str) -> Result<(), String> {
    let quotes = |c| matches!(c, '"' | '\'');
    if text.starts_with(quotes) || text.ends_with(quotes) {
        return Err(
            "has quotes around it, which `docker --env-file` and systemd keep; leave them out".to_owned()
        );
    }
    if text.ends_with('\r') {
        return Err("ends with a carriage return; save the file that sets it with Unix line ends".to_owned());
    }
    for (place, c) in text.chars().enumerate().map(|(index, c)| (index + 1, c)) {
        if c.is_ascii_graphic()
            && !matches!(c, '#' | '?' | '"' | '\\' | '<' | '>' | '^' | '`' | '{' | '|' | '}')
        {
            continue;
        }
        let name = match c {
            ' ' => "a blank".to_owned(),
            '!'..='~' => format!("`{c}`"),
            _ => "a character that is not plain ASCII".to_owned(),
        };
        return Err(format!("character {place} is {name}; write it as {}", percent(c)));
    }
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        if !after.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)) {
            return Err(format!("character {} is `%`; write it as %25", text.len() - after.len()));
        }
        rest = after;
    }
    Ok(())
}

fn percent(c: char) -> String {
    percent_encoding::percent_encode(c.encode_utf8(&mut [0; 4]).as_bytes(), NON_ALPHANUMERIC).to_string()
}

/// Points at the first of these characters behind the scheme.
fn encode(text: &str, c: char, encoded: &str) -> String {
    let from = text.find("://").map_or(0, |at| at + "://".len());
    let place = text.get(from..).and_then(|rest| rest.find(c)).unwrap_or_default() + from + 1;
    format!("character {place} is `{c}` in user or password; write it as {encoded}")
}

/// The hosts to reach directly, in the form that the HTTP library takes: it knows names with all below them,
/// addresses and networks.
fn bypass(text: &str) -> Result<String, String> {
    let mut hosts = Vec::new();
    for (number, entry) in (1..).zip(text.split(',').map(str::trim)) {
        let host = entry.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(entry);
        if host != "*" && host.contains('*') {
            return Err(format!(
                "entry {number}: a star is the whole of an entry or its start, as in *.corp.example; \
                 write a network as 10.0.0.0/8"
            ));
        }
        if host.contains(['"', '\'']) {
            return Err("has quotes, which `docker --env-file` and systemd keep; leave them out".to_owned());
        }
        hosts.push(host.to_ascii_lowercase());
    }
    hosts.retain(|host| !host.is_empty());
    Ok(hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Proxies, Wrong> {
        let value =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Proxies::read(&value)
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        match (read(&[("HTTPS_PROXY", text)]), expected) {
            (Ok(proxies), Ok(expected)) => {
                assert_eq!(proxies.https.as_ref().map(Url::as_str), Some(expected));
            }
            (Err(wrong), Err(expected)) => {
                assert!(wrong.reason.contains(expected), "{wrong:?}");
                assert!(!wrong.reason.contains("geh") && !wrong.reason.contains("ss@"), "{wrong:?}");
            }
            (found, _) => panic!("{found:?} of {text:?}"),
        }
    }

    #[test]
    fn an_address_is_taken_whole_or_refused_with_the_place() {
        check("http://127.0.0.1:3128", Ok("http://127.0.0.1:3128/"));
        check("proxy.corp.test:3128", Ok("http://proxy.corp.test:3128/"));
        check("https://svc:p%23ss@proxy:3128/", Ok("https://svc:p%23ss@proxy:3128/"));
        check("http://svc:p#ss@127.0.0.1:3128", Err("character 13 is `#`; write it as %23"));
        check("http://svc:p?ss@127.0.0.1:3128", Err("character 13 is `?`; write it as %3F"));
        check(
            "http://svc:p@ss@127.0.0.1:3128",
            Err("character 13 is `@` in user or password; write it as %40"),
        );
        check(
            "http://svc:p/ss@127.0.0.1:3128",
            Err("character 13 is `/` in user or password; write it as %2F"),
        );
        check("http://svc:p%ss@127.0.0.1:3128", Err("character 13 is `%`; write it as %25"));
        check("http://svc:p ss@127.0.0.1:3128", Err("character 13 is a blank; write it as %20"));
        check(
            "http://svc:gehü@127.0.0.1:3128",
            Err("character 15 is a character that is not plain ASCII; write it as %C3%BC"),
        );
        check("\"http://127.0.0.1:3128\"", Err("has quotes around it"));
        check("'http://127.0.0.1:3128'", Err("has quotes around it"));
        check("http://127.0.0.1:3128\r", Err("ends with a carriage return"));
        check("socks5://127.0.0.1:1080", Err("only proxies of http:// and https://"));
        check("http://", Err("is not an address"));
        check("http://proxy:99999", Err("is not an address"));
        check("http://proxy:3128/path", Err("has a path"));
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let host = |url: &Option<Url>| url.as_ref().and_then(Url::host_str).map(str::to_owned);
        for (variables, http, https) in [
            (&[("HTTP_PROXY", "a"), ("https_proxy", "b")][..], Some("a"), Some("b")),
            (&[("all_proxy", "c"), ("HTTPS_PROXY", "b")], Some("c"), Some("b")),
            (&[("HTTP_PROXY", "a"), ("http_proxy", "b"), ("REQUEST_METHOD", "GET")], None, None),
            (&[("HTTPS_PROXY", ""), ("https_proxy", "b")], None, Some("b")),
            (&[], None, None),
        ] {
            let proxies = read(variables).expect("sound");
            assert_eq!((host(&proxies.http).as_deref(), host(&proxies.https).as_deref()), (http, https));
        }
        let wrong = read(&[("https_proxy", "'x'")]).expect_err("quotes");
        assert_eq!(wrong.variable, "https_proxy");
        let shown = format!("{:?}", read(&[("HTTPS_PROXY", "http://svc:hunter2@proxy:1")]).expect("sound"));
        assert!(shown.contains("proxy") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn stars_of_no_proxy_count() {
        let bypass = |text| read(&[("NO_PROXY", text)]).map(|proxies| proxies.bypass);
        assert_eq!(
            bypass("*.Corp.test, 10.0.0.0/8 ,,localhost").as_deref(),
            Ok(".corp.test,10.0.0.0/8,localhost")
        );
        assert_eq!(bypass("*").as_deref(), Ok("*"));
        for wrong in ["10.*", "a*.corp.test", "**.corp.test", "\"localhost\""] {
            assert!(bypass(wrong).is_err(), "{wrong}");
        }
    }
}
