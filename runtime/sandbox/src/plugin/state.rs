//! What the host keeps for one plugin's instance: a context like its caller's, narrowed, and WASI.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::context::{Context, Hosted};
use crate::place::{Tree, enter};
use sloth_policy::{Capability, Effective};

/// Most bytes that are kept of what a plugin writes to its standard streams in one call.
const MOST_OUTPUT: usize = 64 << 10;
/// Most folders that a plugin gets through WASI.
const MOST_FOLDERS: usize = 64;
/// Folders that show more than files, and so are never handed over whole.
const NEVER_WHOLE: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];

/// The data of a plugin's store.
pub(crate) struct State {
    pub(crate) context: Context,
    pub(crate) output: Output,
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
}

impl State {
    pub(crate) fn new(mut context: Context) -> Self {
        let output = Output::default();
        let mut builder = WasiCtxBuilder::new();
        builder
            .stdout(output.clone())
            .stderr(output.clone())
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        let folders = whole_folders(context.gate.grants());
        for folder in folders.into_iter().take(MOST_FOLDERS) {
            if open(&mut builder, &context.tree, &folder) {
                let report = &mut context.gate.report;
                report.called(Capability::FilesRead, &format!("{folder}/**"));
            }
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(context.limits.handles as usize);
        Self {
            context,
            output,
            wasi: builder.build(),
            table,
            http: WasiHttpCtx::new(),
        }
    }
}

/// The folders of which all may be read and nothing beneath is denied: WASI asks nobody for a single path.
fn whole_folders(grants: &Effective) -> Vec<String> {
    let capability = Capability::FilesRead;
    let mut folders = grants.trees(capability);
    folders.retain(|folder| {
        let apart = |never: &str| {
            *folder != *never && !folder.starts_with(&format!("{never}/")) && folder != "/"
        };
        NEVER_WHOLE.iter().all(|never| apart(never)) && !grants.denies_beneath(capability, folder)
    });
    folders
}

/// Hands over a folder for reading, if it is where its path says and no link leads elsewhere.
fn open(builder: &mut WasiCtxBuilder, tree: &Tree, folder: &str) -> bool {
    let (place, stuck) = tree.resolve(folder, true);
    if stuck.is_some() || place.path != folder {
        return false;
    }
    let Ok(held) = enter(&place) else {
        return false;
    };
    // What is held is opened anew by its number: the path may lead elsewhere by now.
    let number = std::os::fd::AsRawFd::as_raw_fd(&*held);
    let opened =
        builder.preopened_dir(format!("/proc/self/fd/{number}"), folder, FsPerms::ReadOnly);
    opened.is_ok()
}

impl Hosted for State {
    fn context(&mut self) -> &mut Context {
        &mut self.context
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.context,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// What a plugin wrote to its standard streams, which becomes messages of the step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    more: bool,
}

impl Output {
    /// Takes what was written since, by lines.
    pub(crate) fn take(&self) -> Vec<String> {
        let written = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let text = String::from_utf8_lossy(&written.bytes);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if written.more {
            lines.push("(more was written than is kept of one call)".to_owned());
        }
        lines
    }

    /// The last line that was written since, which often says why something ended.
    pub(crate) fn peek(&self) -> Option<String> {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&written.bytes);
        text.lines()
            .rfind(|line| !line.trim().is_empty())
            .map(str::to_owned)
    }

    fn add(&self, bytes: &[u8]) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_OUTPUT - written.bytes.len().min(MOST_OUTPUT);
        written.more |= bytes.len() > room;
        written
            .bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: hyper::body::Bytes) -> StreamResult<()> {
        self.add(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(MOST_OUTPUT)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl tokio::io::AsyncWrite for Output {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.add(bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}
