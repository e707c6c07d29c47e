//! What the guest may ask of the machine: one file per noun of `wit/`, each with a narrow view of
//! the instance, each method in the same order — permit, observe, plan, apply, emit.
//!
//! `log`, `clock` and `random` need no grant; [`underway`] is what goes on beside a step; [`waiting`] is for locks of others; [`error`] says
//! whose fault a failure is.

pub(crate) mod clock;
pub(crate) mod environment;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod facts;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod packages;
pub(crate) mod plugins;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod secrets;
pub(crate) mod services;
pub(crate) mod state;
pub(crate) mod underway;
pub(crate) mod users;
mod waiting;

pub(crate) use error::Error;

use crate::bindings::sloth::host;
use crate::context::{Context, Hosted};

/// The nouns that a plugin may import as well as the guest.
pub(crate) const NOUNS: [&str; 15] = [
    "types",
    "log",
    "files",
    "process",
    "secrets",
    "packages",
    "users",
    "services",
    "facts",
    "environment",
    "state",
    "events",
    "http",
    "clock",
    "random",
];

/// Those of them that ask the machine for something: each call needs a grant.
pub(crate) const ASKING: [&str; 11] = [
    "files",
    "process",
    "secrets",
    "packages",
    "users",
    "services",
    "facts",
    "environment",
    "state",
    "events",
    "http",
];

/// Links every interface of the world.
pub(crate) fn link(linker: &mut wasmtime::component::Linker<Context>) -> wasmtime::Result<()> {
    link_nouns(linker)?;
    host::plugins::add_to_linker::<_, plugins::Plugins>(linker, |context| plugins::PluginsView {
        context,
    })
}

/// Links the nouns, for the guest or for a plugin.
pub(crate) fn link_nouns<T: Hosted>(
    linker: &mut wasmtime::component::Linker<T>,
) -> wasmtime::Result<()> {
    host::types::add_to_linker::<_, Types>(linker, |_| TypesView)?;
    host::log::add_to_linker::<_, log::Log>(linker, |data| data.context().log())?;
    host::files::add_to_linker::<_, files::Files>(linker, |data| data.context().files())?;
    host::process::add_to_linker::<_, process::Process>(linker, |data| data.context().process())?;
    host::secrets::add_to_linker::<_, secrets::Secrets>(linker, |data| data.context().secrets())?;
    host::packages::add_to_linker::<_, packages::Packages>(linker, |data| {
        data.context().packages()
    })?;
    host::users::add_to_linker::<_, users::Users>(linker, |data| data.context().users())?;
    host::services::add_to_linker::<_, services::Services>(linker, |data| {
        data.context().services()
    })?;
    host::facts::add_to_linker::<_, facts::Facts>(linker, |data| data.context().facts())?;
    host::environment::add_to_linker::<_, environment::Environment>(linker, |data| {
        data.context().environment()
    })?;
    host::state::add_to_linker::<_, state::State>(linker, |data| data.context().state())?;
    host::events::add_to_linker::<_, events::Events>(linker, |data| data.context().events())?;
    host::http::add_to_linker::<_, http::Http>(linker, |data| data.context().http())?;
    host::clock::add_to_linker::<_, clock::Clock>(linker, |data| data.context().clock())?;
    host::random::add_to_linker::<_, random::Random>(linker, |data| data.context().random())
}

/// The types have no functions of their own.
struct Types;

pub(crate) struct TypesView;

impl wasmtime::component::HasData for Types {
    type Data<'a> = TypesView;
}

impl host::types::Host for plugins::PluginsView<'_> {
    fn convert_error(&mut self, error: Error) -> wasmtime::Result<host::types::Error> {
        answered(error)
    }
}

impl host::types::Host for TypesView {
    fn convert_error(&mut self, error: Error) -> wasmtime::Result<host::types::Error> {
        answered(error)
    }
}

fn answered(error: Error) -> wasmtime::Result<host::types::Error> {
    match error {
        Error::Guest(error) => Ok(error),
        Error::Trap(error) => Err(error),
    }
}

/// The way from our errors to the guest's, which every view that can fail must offer. Every failure
/// passes here, and so none is left out of the record.
macro_rules! answers_errors {
    ($($view:ty),+) => {$(
        impl host::types::Host for $view {
            fn convert_error(&mut self, error: Error) -> wasmtime::Result<host::types::Error> {
                let error = self.gate.explained(error);
                self.gate.report.failed(&error);
                answered(error)
            }
        }
    )+};
}

answers_errors!(
    files::FilesView<'_>,
    process::ProcessView<'_>,
    secrets::SecretsView<'_>,
    packages::PackagesView<'_>,
    users::UsersView<'_>,
    services::ServicesView<'_>,
    facts::FactsView<'_>,
    environment::EnvironmentView<'_>,
    state::StateView<'_>,
    events::EventsView<'_>,
    http::HttpView<'_>,
    clock::ClockView<'_>
);
