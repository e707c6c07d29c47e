//! Who waits for the end of which call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::wire::generated::Declined;

/// A call by run and number.
pub(crate) type Name = (String, u64);

/// What a waiting call can be told.
#[derive(Debug)]
pub(crate) enum News {
    /// It has ended, which is kept for good.
    Ended,
    /// The agent has not taken it on.
    Declined(Declined),
}

/// The calls that are out.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    calls: Mutex<HashMap<Name, Out>>,
}

/// A call that is out.
#[derive(Debug)]
struct Out {
    /// Who may speak of it.
    line: String,
    sender: mpsc::Sender<News>,
}

/// One call's place among them, until it is dropped.
pub(crate) struct Wait {
    waiting: Arc<Waiting>,
    name: Name,
    news: mpsc::Receiver<News>,
}

impl Waiting {
    /// Begins to wait for what `line` says. Each call is waited for by one at most.
    pub(crate) fn wait(self: &Arc<Self>, name: Name, line: String) -> Wait {
        let (sender, news) = mpsc::channel(2);
        self.calls().insert(name.clone(), Out { line, sender });
        Wait {
            waiting: Arc::clone(self),
            name,
            news,
        }
    }

    /// Tells whoever waits for this call of that line. What nobody waits for is in the store all the same.
    pub(crate) fn tell(&self, line: &str, name: &Name, news: News) {
        if let Some(out) = self.calls().get(name)
            && out.line == line
        {
            let _ = out.sender.try_send(news);
        }
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<Name, Out>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wait {
    /// The next news of the call.
    pub(crate) async fn news(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            // The sender lives in the list for as long as this does.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.waiting.calls().remove(&self.name);
    }
}
