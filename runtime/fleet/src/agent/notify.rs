//! What systemd is told of the agent. Where it was not started by systemd, nothing is told.

use std::time::Duration;

use sd_notify::NotifyState;

use super::{Agent, Status};

/// How often what is told is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The agent is up.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It reads its policy again; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("systemd is not told: {error}"),
    }
}

/// It ends when what runs has ended.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells how the agent is, and that it lives, for as long as this is awaited.
pub async fn keep_telling(agent: &Agent) {
    let watchdog = sd_notify::watchdog_enabled().map(|time| time / 3);
    let mut ticks = tokio::time::interval(watchdog.map_or(EVERY, |time| time.min(EVERY)));
    let mut told = None;
    loop {
        ticks.tick().await;
        if watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
        let status = agent.status();
        if told.as_ref() != Some(&status) {
            tell(&[NotifyState::Status(&in_words(&status))]);
            told = Some(status);
        }
    }
}

fn in_words(status: &Status) -> String {
    let link = if status.connected {
        "connected"
    } else {
        "waiting for the master"
    };
    let drained = if status.draining { ", drained" } else { "" };
    match status.running {
        0 => format!("{link}{drained}, nothing runs"),
        1 => format!("{link}{drained}, 1 call runs"),
        calls => format!("{link}{drained}, {calls} calls run"),
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd is not told: {error}");
    }
}
