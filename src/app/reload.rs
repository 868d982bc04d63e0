//! When the configuration is read anew, and what comes of it.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tokio::sync::{mpsc, oneshot};

use super::App;
use crate::config::{self, Config};
use crate::serve::routes::AskReload;

/// Reads the configuration as it was read at start.
type Load = Arc<dyn Fn() -> Result<Config, config::Error> + Send + Sync>;

/// How the configuration can be read anew, and who says when.
pub struct Reload {
    load: Option<Load>,
    signals: BoxStream<'static, ()>,
}

/// Asked over HTTP, with the way back for what came of it.
pub(super) type Asked = mpsc::Receiver<oneshot::Sender<Result<(), String>>>;

/// One is under way, one may wait; who comes then learns what came of the one that waits.
const WAITING: usize = 1;

impl Reload {
    /// At each signal, and when asked over HTTP where that is enabled.
    pub fn new(
        load: impl Fn() -> Result<Config, config::Error> + Send + Sync + 'static,
        signals: impl Stream<Item = ()> + Send + 'static,
    ) -> Self {
        Self { load: Some(Arc::new(load)), signals: signals.boxed() }
    }

    /// For a configuration that comes from no file.
    pub fn never() -> Self {
        Self { load: None, signals: stream::empty().boxed() }
    }
}

/// How the server asks for a reload, where it may.
pub(super) fn channel(enabled: bool) -> (Option<AskReload>, Asked) {
    let (sender, asked) = mpsc::channel(WAITING);
    let ask = move || {
        let sender = sender.clone();
        async move {
            let (reply, answer) = oneshot::channel();
            let stopping = || "the exporter is stopping".to_owned();
            sender.send(reply).await.map_err(|_| stopping())?;
            answer.await.unwrap_or_else(|_| Err(stopping()))
        }
        .boxed()
    };
    let ask: AskReload = Box::new(ask);
    (enabled.then_some(ask), asked)
}

impl App {
    /// Reloads whenever it is told to, until it is dropped.
    pub(super) async fn follow(&self, reload: Reload, mut asked: Asked) {
        let Reload { load, mut signals } = reload;
        loop {
            let reply = tokio::select! {
                Some(()) = signals.next() => None,
                Some(reply) = asked.recv() => Some(reply),
                else => return,
            };
            let result = match load.clone() {
                Some(load) => self.reload(load).await,
                None => Err("this configuration comes from no file".to_owned()),
            };
            if let Some(reply) = reply {
                drop(reply.send(result)); // whoever asked may have gone
            }
        }
    }

    async fn reload(&self, load: Load) -> Result<(), String> {
        let loading = tokio::task::spawn_blocking(move || load());
        let loaded = match loading.await {
            Ok(loaded) => loaded.map_err(anyhow::Error::from),
            Err(_) => return Err("the exporter is stopping".to_owned()),
        };
        let adopted = match loaded {
            Ok(config) => self.adopt(&config).await,
            Err(error) => Err(error),
        };
        match adopted {
            Ok(()) => {
                tracing::info!(tenants = self.current().tenants.len(), "the configuration was reloaded");
                Ok(())
            }
            Err(error) => {
                let error = format!("{error:#}");
                self.stats.config_refused();
                tracing::error!(error, "the configuration was not reloaded; the old one stays in force");
                Err(error)
            }
        }
    }
}
