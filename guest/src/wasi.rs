//! What wasi-libc and Rust's standard library want of WASI, answered here.
//!
//! Both reach preview 1 through symbols named `__imported_wasi_snapshot_preview1_<function>`, and the
//! linker makes an import only of a symbol that nobody defines. Each one is defined below, so the
//! component imports nothing but the contract in `wit/`: clocks and random come from there, writes to
//! standard output and error become log lines, and all else says that it is not there.
#![expect(unsafe_code, reason = "the ABI of WASI preview 1 is raw addresses")]

use std::sync::atomic::{AtomicBool, Ordering};

use crate::sloth::host::{clock, log, random};

/// Errno values of preview 1.
const SUCCESS: i32 = 0;
const BADF: i32 = 8;
const NOSYS: i32 = 52;

/// The longest piece of a log line taken from one write, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// False while the snapshot is made: no host is there to be asked, and what it said would be the same
/// in every run.
static HOST: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    /// Ends the wiping of freed memory, in memory/guard.c.
    safe fn sloth_keep_freed_memory();
}

/// From now on clocks and random are the host's, and memory is not being prepared for a snapshot.
pub(crate) fn attach_host() {
    HOST.store(true, Ordering::Relaxed);
    sloth_keep_freed_memory();
    crate::memory::keep_freed();
}

fn host_is_there() -> bool {
    HOST.load(Ordering::Relaxed)
}

#[repr(C)]
struct Slice {
    address: *const u8,
    length: usize,
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_fd_write(
    descriptor: i32,
    slices: *const Slice,
    count: usize,
    written: *mut usize,
) -> i32 {
    let level = match descriptor {
        1 => log::Level::Print,
        // What the interpreter says of itself when it fails; the failure is reported besides.
        2 => log::Level::Debug,
        _ => return BADF,
    };
    let mut message = Vec::new();
    let mut total = 0;
    for index in 0..count {
        // SAFETY: the caller passes `count` slices, each of readable memory of the given length.
        let bytes = unsafe {
            let slice = &*slices.add(index);
            if slice.length == 0 {
                continue;
            }
            std::slice::from_raw_parts(slice.address, slice.length)
        };
        total += bytes.len();
        let room = LONGEST_LINE - message.len();
        message.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
    let text = String::from_utf8_lossy(&message);
    let text = text.trim_end_matches('\n');
    if host_is_there() && !text.is_empty() {
        log::write(level, text);
    }
    // SAFETY: the caller passes a place for the number of bytes taken.
    unsafe { written.write(total) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_clock_time_get(
    clock: i32,
    _precision: u64,
    time: *mut u64,
) -> i32 {
    let nanoseconds = match (host_is_there(), clock) {
        (false, _) => 0,
        (true, 0) => {
            let now = clock::now();
            u64::try_from(now.seconds)
                .unwrap_or(0)
                .saturating_mul(1_000_000_000)
                .saturating_add(u64::from(now.nanoseconds))
        }
        (true, _) => clock::monotonic(),
    };
    // SAFETY: the caller passes a place for the time.
    unsafe { time.write(nanoseconds) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_clock_res_get(
    _clock: i32,
    resolution: *mut u64,
) -> i32 {
    // SAFETY: the caller passes a place for the resolution.
    unsafe { resolution.write(1) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_random_get(buffer: *mut u8, length: usize) -> i32 {
    if length == 0 {
        return SUCCESS;
    }
    // SAFETY: the caller passes a writable buffer of this length; zeroing it first makes it valid to
    // borrow whatever stood there.
    let buffer = unsafe {
        buffer.write_bytes(0, length);
        std::slice::from_raw_parts_mut(buffer, length)
    };
    if host_is_there() {
        for piece in buffer.chunks_mut(65_536) {
            let bytes = random::bytes(u32::try_from(piece.len()).unwrap_or(65_536));
            let length = bytes.len().min(piece.len());
            piece[..length].copy_from_slice(&bytes[..length]);
        }
    }
    SUCCESS
}

/// Arguments and environment: there are none.
macro_rules! none_of {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name(count: *mut usize, size: *mut usize) -> i32 {
            // SAFETY: the caller passes places for a count and a size.
            unsafe {
                count.write(0);
                size.write(0);
            }
            SUCCESS
        }
    )*};
}

none_of! {
    __imported_wasi_snapshot_preview1_environ_sizes_get
    __imported_wasi_snapshot_preview1_args_sizes_get
}

/// Functions that only say why they cannot.
macro_rules! refuse {
    ($($name:ident($($type:ty),*) = $errno:expr;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($(_: $type),*) -> i32 {
            $errno
        }
    )*};
}

refuse! {
    __imported_wasi_snapshot_preview1_environ_get(i32, i32) = SUCCESS;
    __imported_wasi_snapshot_preview1_args_get(i32, i32) = SUCCESS;
    __imported_wasi_snapshot_preview1_sched_yield() = SUCCESS;
    __imported_wasi_snapshot_preview1_fd_advise(i32, i64, i64, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_allocate(i32, i64, i64) = BADF;
    __imported_wasi_snapshot_preview1_fd_close(i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_datasync(i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_fdstat_get(i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_fdstat_set_flags(i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_fdstat_set_rights(i32, i64, i64) = BADF;
    __imported_wasi_snapshot_preview1_fd_filestat_get(i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_filestat_set_size(i32, i64) = BADF;
    __imported_wasi_snapshot_preview1_fd_filestat_set_times(i32, i64, i64, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_pread(i32, i32, i32, i64, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_prestat_get(i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_prestat_dir_name(i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_pwrite(i32, i32, i32, i64, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_read(i32, i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_readdir(i32, i32, i32, i64, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_renumber(i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_seek(i32, i64, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_sync(i32) = BADF;
    __imported_wasi_snapshot_preview1_fd_tell(i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_path_create_directory(i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_path_filestat_get(i32, i32, i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_path_filestat_set_times(i32, i32, i32, i32, i64, i64, i32) = BADF;
    __imported_wasi_snapshot_preview1_path_link(i32, i32, i32, i32, i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_path_open(i32, i32, i32, i32, i32, i64, i64, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_path_readlink(i32, i32, i32, i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_path_remove_directory(i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_path_rename(i32, i32, i32, i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_path_symlink(i32, i32, i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_path_unlink_file(i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_poll_oneoff(i32, i32, i32, i32) = NOSYS;
    __imported_wasi_snapshot_preview1_sock_accept(i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_sock_recv(i32, i32, i32, i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_sock_send(i32, i32, i32, i32, i32) = BADF;
    __imported_wasi_snapshot_preview1_sock_shutdown(i32, i32) = BADF;
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_proc_exit(_code: i32) -> ! {
    // Ending the process is a trap: only the host decides what that means for the step.
    core::arch::wasm32::unreachable()
}
