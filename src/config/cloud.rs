//! Microsoft's clouds: where each signs in and where its Graph is.

use url::{Host, Url};

/// Name in the file, sign-in authorities (the first is used), Graph root.
///
/// Both US clouds sign in at the same place; an authority alone means `us_l4`, the wider of the two.
const CLOUDS: [(&str, &[&str], &str); 4] = [
    (
        "global",
        &["https://login.microsoftonline.com/", "https://login.microsoft.com/", "https://login.windows.net/"],
        "https://graph.microsoft.com/",
    ),
    ("us_l4", &["https://login.microsoftonline.us/"], "https://graph.microsoft.us/"),
    ("us_l5", &["https://login.microsoftonline.us/"], "https://dod-graph.microsoft.us/"),
    (
        "china",
        &["https://login.chinacloudapi.cn/", "https://login.partner.microsoftonline.cn/"],
        "https://microsoftgraph.chinacloudapi.cn/",
    ),
];

/// Further names of the clouds, as Microsoft and its tools write them. The tenants of GCC are in the global cloud.
const ALIASES: [(&str, &str); 8] = [
    ("worldwide", "global"),
    ("public", "global"),
    ("gcc", "global"),
    ("gcc_high", "us_l4"),
    ("gcch", "us_l4"),
    ("dod", "us_l5"),
    ("gcc_dod", "us_l5"),
    ("21vianet", "china"),
];

/// The two roots of a cloud; both end in `/`, so that joining a relative path keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cloud {
    pub(super) authority: Url,
    pub(super) graph: Url,
}

/// The cloud where nothing is said.
pub(super) fn global() -> Cloud {
    named("global").expect("the first row of the table, which a test reads")
}

/// The cloud that the file calls so: `gcc_high`, `GCC High` and `gcc-high` are one name.
pub(super) fn named(name: &str) -> Result<Cloud, String> {
    let spelled = name.to_ascii_lowercase().replace(['-', ' '], "_");
    let alias = ALIASES.iter().find(|(alias, _)| *alias == spelled).map(|(_, cloud)| *cloud);
    let wanted = alias.unwrap_or(&spelled);
    let Some((_, [authority, ..], graph)) = CLOUDS.iter().find(|(known, ..)| *known == wanted) else {
        let names: Vec<_> = CLOUDS.iter().map(|(name, ..)| *name).collect();
        let all: Vec<_> = names.iter().copied().chain(ALIASES.iter().map(|(alias, _)| *alias)).collect();
        let hint = crate::spelling::did_you_mean(name, &all);
        return Err(format!(
            "unknown cloud {}{hint}\nallowed here: {} or {{ authority: https://.., graph: https://.. }}",
            super::error::quoted(name),
            names.join(", ")
        ));
    };
    Ok(Cloud { authority: root(authority)?, graph: root(graph)? })
}

/// The cloud that signs in at this authority.
pub(super) fn of_authority(text: &str) -> Result<Cloud, String> {
    // Some Azure tools set the host alone.
    let authority = if text.contains("://") { root(text)? } else { root(&format!("https://{text}"))? };
    let cloud = CLOUDS.iter().find(|(_, authorities, _)| authorities.contains(&authority.as_str()));
    let Some((_, _, graph)) = cloud else {
        return Err(format!(
            "the Graph root of {authority} is not known; \
             name both in a configuration file as `cloud: {{ authority: .., graph: .. }}`"
        ));
    };
    Ok(Cloud { authority, graph: root(graph)? })
}

/// Reads an authority or Graph root.
///
/// The client secret is sent to the one and the token to the other, so plain http goes no further than this
/// machine. No message repeats the address: a password may be in it.
pub(super) fn root(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| format!("this is no URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user name or password in the URL is not allowed".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a query or fragment in the URL is not allowed".to_owned());
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return Err(format!(
                "plain http is accepted for this machine only (127.0.0.0/8, ::1, localhost), not for {}; \
                 use https",
                url.host_str().unwrap_or_default()
            ));
        }
        _ => return Err("only https URLs are accepted, and http ones of this machine".to_owned()),
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cloud_has_sound_roots() {
        for (name, authorities, graph) in CLOUDS {
            let cloud = named(name).expect(name);
            assert_eq!((cloud.authority.as_str(), cloud.graph.as_str()), (authorities[0], graph));
            for authority in authorities {
                assert_eq!(root(authority).expect(authority).as_str(), *authority);
            }
        }
    }

    #[test]
    fn clouds_have_the_names_that_microsoft_gives_them() {
        for (alias, name) in
            [("gcc", "global"), ("GCC High", "us_l4"), ("gcc-high", "us_l4"), ("DoD", "us_l5")]
        {
            assert_eq!(named(alias), named(name), "{alias}");
        }
        for (alias, cloud) in ALIASES {
            assert!(CLOUDS.iter().any(|(name, ..)| *name == cloud), "{alias}");
        }
        let error = named("gcc_hihg").expect_err("unknown");
        assert!(error.contains("did you mean `gcc_high`?"), "{error}");
    }

    #[test]
    fn an_authority_tells_the_graph_root() {
        for (authority, graph) in [
            ("https://login.microsoftonline.com", "https://graph.microsoft.com/"),
            ("https://login.microsoftonline.com/", "https://graph.microsoft.com/"),
            ("login.microsoftonline.us", "https://graph.microsoft.us/"),
            ("https://LOGIN.chinacloudapi.cn/", "https://microsoftgraph.chinacloudapi.cn/"),
            ("https://login.partner.microsoftonline.cn/", "https://microsoftgraph.chinacloudapi.cn/"),
        ] {
            assert_eq!(of_authority(authority).expect(authority).graph.as_str(), graph);
        }
        for authority in
            ["https://login.example/", "http://127.0.0.1:10065", "http://login.microsoftonline.com", ""]
        {
            assert!(of_authority(authority).is_err(), "{authority}");
        }
    }

    #[test]
    fn which_roots_are_accepted() {
        for (text, expected) in [
            ("https://graph.example", "https://graph.example/"),
            ("https://graph.example/proxy", "https://graph.example/proxy/"),
            ("http://127.0.0.1:10065", "http://127.0.0.1:10065/"),
            ("http://127.9.9.9/", "http://127.9.9.9/"),
            ("http://[::1]:1/", "http://[::1]:1/"),
            ("http://LOCALHOST:1", "http://localhost:1/"),
        ] {
            assert_eq!(root(text).map(String::from).as_deref(), Ok(expected));
        }
        for text in [
            "graph.example",
            "http://graph.example",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
            "http://[::2]",
            "ftp://127.0.0.1",
            "file:///etc",
            "https://user@graph.example",
            "https://:hunter2@graph.example",
            "https://graph.example?x",
            "https://graph.example#x",
            "https://",
            "",
        ] {
            let error = root(text).expect_err(text);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
