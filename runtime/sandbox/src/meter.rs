//! What one instance may grow to.

use wasmtime::ResourceLimiter;

/// Elements of one table, and of all tables together.
const MAX_TABLE_ELEMENTS: usize = 100_000;
const MAX_ELEMENTS: usize = 1_000_000;
/// Core instances, tables and memories of one component. What interpreters come as has some dozens of each.
const MAX_INSTANCES: usize = 128;
const MAX_TABLES: usize = 128;
const MAX_MEMORIES: usize = 32;

/// Counts the memory of an instance, its garbage-collected heap included, and refuses to let it
/// grow past the limit.
pub(crate) struct Meter {
    limit: usize,
    used: usize,
    elements: usize,
    refused: bool,
}

impl Meter {
    /// `limit` in bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            used: 0,
            elements: 0,
            refused: false,
        }
    }

    /// Whether the guest ever asked for more than it may have.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let elements = (self.elements).saturating_add(desired.saturating_sub(current));
        if desired > MAX_TABLE_ELEMENTS || elements > MAX_ELEMENTS {
            return Ok(false);
        }
        self.elements = elements;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}
