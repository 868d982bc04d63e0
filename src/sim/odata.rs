//! The part of `OData` that Graph documents for the resources of this tenant: query options and `$filter`.

use serde_json::Value;

use super::reply::Reply;

/// The decoded query options of one request, names in lower case, in the order given.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Fails on any option the operation does not document.
    pub(super) fn parse(query: &str, documented: &[&str]) -> Result<Self, Reply> {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let pairs = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned()));
        let pairs: Vec<(String, String)> = pairs.collect();
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !documented.contains(&name.as_str()) {
                return Err(Reply::bad_request(format!("The query parameter '{name}' is not supported.")));
            }
            if pairs.iter().take(at).any(|(earlier, _)| earlier == name) {
                return Err(Reply::bad_request(format!(
                    "Query option '{name}' was specified more than once."
                )));
            }
        }
        Ok(Self(pairs))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The query of a link to another page: the same options, another `$skiptoken`.
    pub(super) fn with_skiptoken(&self, token: &str) -> String {
        let kept = self.0.iter().filter(|(name, _)| name != "$skiptoken");
        let kept = kept.map(|(name, value)| format!("{name}={}&", percent_encoded(value)));
        kept.collect::<String>() + "$skiptoken=" + &percent_encoded(token)
    }
}

/// Form encoding writes a space as `+`, which `OData` does not.
fn percent_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Cuts an entity down to the properties of `$select`.
pub(super) fn select(entity: &mut Value, select: Option<&str>, properties: &[&str]) -> Result<(), Reply> {
    let (Some(select), Some(members)) = (select, entity.as_object_mut()) else { return Ok(()) };
    let wanted: Vec<&str> = select.split(',').map(str::trim).collect();
    if let Some(unknown) = wanted.iter().find(|name| !properties.contains(*name)) {
        return Err(Reply::bad_request(format!(
            "Parsing OData Select and Expand failed: Could not find a property named '{unknown}'."
        )));
    }
    members.retain(|name, _| name.starts_with("@odata.") || wanted.contains(&name.as_str()));
    Ok(())
}

/// A `$filter`: comparisons for equality, joined by `and` and `or`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Equal { property: String, value: String },
    All(Vec<Filter>),
    Any(Vec<Filter>),
}

/// Brackets may be nested this deep; nobody writes more, and the parser is recursive.
const DEEPEST: usize = 8;

impl Filter {
    pub(super) fn parse(text: &str) -> Result<Self, Reply> {
        let tokens = tokens(text).ok_or_else(|| invalid(text))?;
        let mut rest = tokens.as_slice();
        let filter = any(&mut rest, 0).ok_or_else(|| invalid(text))?;
        if rest.is_empty() { Ok(filter) } else { Err(invalid(text)) }
    }

    /// `value_of` gives the value of a property; nothing equals a property without one.
    pub(super) fn matches(&self, value_of: &impl Fn(&str) -> Option<String>) -> bool {
        match self {
            Self::Equal { property, value } => {
                value_of(property).is_some_and(|actual| actual.eq_ignore_ascii_case(value))
            }
            Self::All(parts) => parts.iter().all(|part| part.matches(value_of)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(value_of)),
        }
    }

    /// Every comparison, wherever it stands.
    pub(super) fn comparisons(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Equal { property, value } => vec![(property, value)],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::comparisons).collect(),
        }
    }
}

fn invalid(text: &str) -> Reply {
    Reply::bad_request(format!("Invalid filter clause: syntax error in '{text}'."))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Literal(String),
    Open,
    Close,
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '(' => (Token::Open, rest.get(1..)?),
            ')' => (Token::Close, rest.get(1..)?),
            '\'' => literal(rest.get(1..)?)?,
            _ => word(rest),
        };
        found.push(token);
        rest = after.trim_start();
    }
    Some(found)
}

fn word(rest: &str) -> (Token, &str) {
    let end = rest.find([' ', '(', ')', '\'']).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    (Token::Word(word.to_owned()), after)
}

/// The text up to the closing quote; a quote inside is written twice.
fn literal(rest: &str) -> Option<(Token, &str)> {
    let mut text = String::new();
    let mut rest = rest;
    loop {
        let (before, after) = rest.split_once('\'')?;
        text.push_str(before);
        let Some(more) = after.strip_prefix('\'') else { return Some((Token::Literal(text), after)) };
        text.push('\'');
        rest = more;
    }
}

fn any(rest: &mut &[Token], depth: usize) -> Option<Filter> {
    joined(rest, depth, "or", all, Filter::Any)
}

fn all(rest: &mut &[Token], depth: usize) -> Option<Filter> {
    joined(rest, depth, "and", one, Filter::All)
}

fn joined(
    rest: &mut &[Token],
    depth: usize,
    word: &str,
    part: fn(&mut &[Token], usize) -> Option<Filter>,
    join: fn(Vec<Filter>) -> Filter,
) -> Option<Filter> {
    let mut parts = vec![part(rest, depth)?];
    while let [Token::Word(found), after @ ..] = *rest {
        if !found.eq_ignore_ascii_case(word) {
            break;
        }
        *rest = after;
        parts.push(part(rest, depth)?);
    }
    Some(if parts.len() == 1 { parts.swap_remove(0) } else { join(parts) })
}

fn one(rest: &mut &[Token], depth: usize) -> Option<Filter> {
    match *rest {
        [Token::Open, after @ ..] if depth < DEEPEST => {
            *rest = after;
            let filter = any(rest, depth + 1)?;
            *rest = rest.strip_prefix(&[Token::Close])?;
            Some(filter)
        }
        [Token::Word(property), Token::Word(operator), Token::Literal(value), after @ ..]
            if operator.eq_ignore_ascii_case("eq") =>
        {
            *rest = after;
            Some(Filter::Equal { property: property.clone(), value: value.clone() })
        }
        [Token::Word(property), Token::Word(operator), Token::Word(value), after @ ..]
            if operator.eq_ignore_ascii_case("eq") && ["true", "false"].contains(&value.as_str()) =>
        {
            *rest = after;
            Some(Filter::Equal { property: property.clone(), value: value.clone() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, kind: &str, user: Option<&str>, expected: bool) {
        let filter = Filter::parse(text).unwrap_or_else(|_| panic!("{text} is a filter"));
        let value_of = |property: &str| match property {
            "deviceType" => Some(kind.to_owned()),
            "currentUser/id" => user.map(str::to_owned),
            _ => None,
        };
        assert_eq!(filter.matches(&value_of), expected, "{text}");
    }

    #[test]
    fn filters_are_understood() {
        check("deviceType eq 'TeamsRoom'", "teamsRoom", None, true);
        check("deviceType eq 'sip'", "teamsRoom", None, false);
        check("deviceType eq 'sip' or deviceType eq 'teamsRoom'", "teamsRoom", None, true);
        check("(deviceType eq 'sip') or (deviceType eq 'ipPhone')", "teamsRoom", None, false);
        check("deviceType eq 'sip' and currentUser/id eq 'a'", "sip", Some("a"), true);
        check("deviceType eq 'sip' and currentUser/id eq 'a'", "sip", None, false);
        check("deviceType eq 'x' or deviceType eq 'sip' and currentUser/id eq 'b'", "sip", Some("a"), false);
        check("isResolved eq false or deviceType eq 'sip'", "sip", None, true);
        check("currentUser/id eq 'it''s'", "sip", Some("it's"), true);
    }

    #[test]
    fn malformed_filters_are_refused() {
        for text in
            ["", "deviceType", "deviceType eq", "deviceType eq 'a", "deviceType ne 'a'", "deviceType eq a"]
        {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        let deep = "(".repeat(500) + "deviceType eq 'a'" + &")".repeat(500);
        assert!(Filter::parse(&deep).is_err());
    }

    #[test]
    fn undocumented_and_doubled_options_are_refused() {
        assert!(Query::parse("$top=5&$skipToken=a", &["$top", "$skiptoken"]).is_ok());
        assert!(Query::parse("$orderby=id", &["$top"]).is_err());
        assert!(Query::parse("$top=5&$top=6", &["$top"]).is_err());
    }
}
