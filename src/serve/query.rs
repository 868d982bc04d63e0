//! Query strings: `name=value` pairs, percent-decoded.

/// A query that is not what a form would send.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed query: {0:?} does not decode to UTF-8")]
pub(super) struct Malformed(String);

/// All pairs in their order. A name without `=` has the empty value.
pub(super) fn parse(query: &str) -> Result<Vec<(String, String)>, Malformed> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Ok((decode(name)?, decode(value)?))
    };
    query.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

/// A path segment; unlike in a query a plus is one.
pub(super) fn segment(text: &str) -> Result<String, Malformed> {
    decode(&text.replace('+', "%2B"))
}

fn decode(text: &str) -> Result<String, Malformed> {
    let malformed = || Malformed(text.to_owned());
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit().ok_or_else(malformed)?, digit().ok_or_else(malformed)?);
                u8::try_from(high * 16 + low).map_err(|_| malformed())?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: &[(&str, &str)]) {
        let pairs = parse(query).expect(query);
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn pairs_are_decoded() {
        check("", &[]);
        check("tenant=contoso", &[("tenant", "contoso")]);
        check("name[]=a&name%5B%5D=b&name%5b%5d=c", &[("name[]", "a"), ("name[]", "b"), ("name[]", "c")]);
        check("a=1+2%203&&b&c==%26%3D", &[("a", "1 2 3"), ("b", ""), ("c", "=&=")]);
        check("t=K%C3%B6ln", &[("t", "Köln")]);
    }

    #[test]
    fn segments_keep_their_plus() {
        assert_eq!(segment("room+1%40contoso.example").as_deref(), Ok("room+1@contoso.example"));
        assert!(segment("%").is_err());
    }

    #[test]
    fn broken_escapes_are_refused() {
        for query in ["a=%", "a=%4", "a=%zz", "a=%+1", "%ff=1", "a=%C3"] {
            assert!(parse(query).is_err(), "{query}");
        }
    }
}
