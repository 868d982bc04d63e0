//! Where `now` comes from. The rest of the program is handed a [`Clock`], so that a test can own time.

use std::sync::Arc;

use crate::model::Timestamp;

#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The machine's clock.
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    pub fn system() -> Self {
        Self::new(|| Timestamp::from_seconds(jiff::Timestamp::now().as_second()))
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}
