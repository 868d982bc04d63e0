//! Records the answers of Graph for `check --capture`, without sign-in and headers.

use std::sync::{Mutex, PoisonError};

use url::Url;

/// One answer, or one item of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub operation: &'static str,
    pub method: &'static str,
    /// Behind the Graph root: from the API version on, with the query.
    pub path: String,
    pub status: u16,
    pub body: Vec<u8>,
}

/// Gets each answer as it comes.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Recorded>);

/// The answers so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub answers: Vec<Answer>,
    /// Number of answers beyond the size limit.
    pub left_out: usize,
    bytes: usize,
}

/// A thousand devices have some 10 MB; a hundred thousand laptops in Intune have 60.
const MOST_BYTES: usize = 128 * 1024 * 1024;

impl Recorder {
    pub(super) fn note(&self, answer: Answer) {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = recorded.bytes + answer.body.len();
        if bytes > MOST_BYTES {
            recorded.left_out += 1;
        } else {
            recorded.bytes = bytes;
            recorded.answers.push(answer);
        }
    }

    /// The answers since the last call.
    pub fn take(&self) -> Recorded {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Path and query of a URL, without the path of the Graph root.
pub(super) fn path_below(root: &Url, url: &Url) -> String {
    let prefix = root.path().trim_end_matches('/');
    let path = url.path().strip_prefix(prefix).unwrap_or_else(|| url.path());
    url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorder_has_an_end() {
        let recorder = Recorder::default();
        let answer = |size| Answer {
            operation: "a",
            method: "GET",
            path: "/a".to_owned(),
            status: 200,
            body: vec![0; size],
        };
        recorder.note(answer(MOST_BYTES - 1));
        recorder.note(answer(2));
        recorder.note(answer(1));
        let Recorded { answers, left_out, .. } = recorder.take();
        assert_eq!((answers.len(), left_out), (2, 1));
        assert_eq!(recorder.take(), Recorded::default());
    }

    #[test]
    fn the_path_of_the_root_is_not_part_of_a_path() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        for (root, of, expected) in [
            ("https://graph.microsoft.com/", "https://graph.microsoft.com/beta/x?$top=5", "/beta/x?$top=5"),
            ("https://proxy.example/graph/", "https://proxy.example/graph/v1.0/y", "/v1.0/y"),
        ] {
            assert_eq!(path_below(&url(root), &url(of)), expected);
        }
    }
}
