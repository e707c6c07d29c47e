//! The helper that the tests start programs through, as `sloth-runner __confine` is for the product; and an agent that
//! they can kill: `confine agent <program> <argument>…`.

#![expect(clippy::disallowed_methods, reason = "a stage for tests")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use sloth_sandbox::confine::{self, Confinement, Flow};
use tokio::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((mode, _)) if mode == "__confine" => confine::helper_main(),
        Some((mode, argv)) if mode == "agent" => be_an_agent(argv),
        _ => ExitCode::FAILURE,
    }
}

fn be_an_agent(argv: &[String]) -> ExitCode {
    let system = |list: &[&str]| list.iter().map(PathBuf::from).collect();
    let confinement = Confinement {
        program: PathBuf::from(&argv[0]),
        argv: argv.to_vec(),
        env: vec![("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())],
        workdir: PathBuf::from("/"),
        scratch: None,
        read: [confine::SYSTEM_READ, confine::SYSTEM_DEVICES]
            .concat()
            .iter()
            .map(PathBuf::from)
            .collect(),
        execute: system(confine::SYSTEM_READ_EXECUTE),
        write: vec![],
        delete: vec![],
        network: confine::Network::None,
        unix_sockets: false,
        unconfined: std::env::var_os("UNCONFINED").is_some(),
        processes: 16,
        open_files: 256,
        cpu_seconds: 60,
        user: None,
        grace: Duration::from_secs(10),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return ExitCode::FAILURE;
    };
    let far = Instant::now() + Duration::from_mins(10);
    let never = std::future::pending();
    let ended = runtime.block_on(confine::run(
        Path::new("/proc/self/exe"),
        &confinement,
        None,
        far,
        never,
        |_, _| Flow::Continue,
    ));
    if ended.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
