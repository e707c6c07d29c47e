//! Rust's side of the guest's memory. While the snapshot is made, what is given back is wiped, as `memory/guard.c` does
//! with Lua's: the snapshot keeps every byte but zeros.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

static SNAPSHOT_IS_MADE: AtomicBool = AtomicBool::new(false);

struct Wiping;

#[global_allocator]
static ALLOCATOR: Wiping = Wiping;

/// From now on memory is given back as it is.
pub(crate) fn keep_freed() {
    SNAPSHOT_IS_MADE.store(true, Ordering::Relaxed);
}

fn wipes() -> bool {
    !SNAPSHOT_IS_MADE.load(Ordering::Relaxed)
}

#[expect(unsafe_code, reason = "an allocator is")]
// SAFETY: everything is the system's own doing, but for zeros in blocks that nobody has any more.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is as long as the caller promises, and given back only afterwards.
        unsafe {
            if wipes() {
                block.write_bytes(0, layout.size());
            }
            System.dealloc(block, layout);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !wipes() {
            // SAFETY: as the caller promises.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller promises that the size fits the alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as the caller promises; the copy ends where the shorter of both does.
        unsafe {
            let moved = self.alloc(wanted);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
