//! How a person's commands reach a master.

use std::time::SystemTime;

use tokio::task::spawn_blocking;
use tonic::Status;

use super::access::{Access, Places};
use super::address::Address;
use super::error::Error;
use super::reach::{Reached, reach};
use crate::wire::generated::fleet_client::FleetClient;

/// Largest answer: the outputs of a run are in it.
const LARGEST: usize = 16 << 20;

/// What people ask of a master.
pub type Fleet = FleetClient<Reached>;

/// What a command line and its environment say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the master is.
    pub master: Address,
    /// By what right it is asked.
    pub places: Places,
    /// Without TLS, and by no right.
    pub insecure: bool,
}

impl Settings {
    /// A connection by the first right that is found.
    pub async fn dial(&self) -> Result<Reached, Error> {
        let access = if self.insecure {
            Access::Insecure
        } else {
            let places = self.places.clone();
            let found = spawn_blocking(move || places.find(SystemTime::now())).await;
            found.expect("reading a file does not panic")?
        };
        reach(&self.master, &access).await
    }
}

/// Connects by the first right that is found.
pub async fn connect(settings: &Settings) -> Result<Fleet, Error> {
    let reached = settings.dial().await?;
    Ok(FleetClient::new(reached).max_decoding_message_size(LARGEST))
}

/// What a master's refusal means, in words.
pub fn problem(status: Status) -> Error {
    Error::from(status)
}
