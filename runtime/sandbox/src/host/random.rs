//! `random`: bytes from the run's seed while a file is loaded, from the operating system in a step.

use sha2::{Digest, Sha256};
use wasmtime::component::HasData;

use crate::bindings::sloth::host::random;

/// Most bytes of one call.
const MAX_BYTES: usize = 65_536;

pub(crate) struct Random;

pub(crate) struct RandomView<'a> {
    /// Set while loading.
    pub(crate) seeded: Option<&'a mut Seeded>,
}

/// A stream of bytes that follows from a seed alone: SHA-256 over seed and block number.
pub(crate) struct Seeded {
    seed: [u8; 32],
    blocks: u64,
}

impl Seeded {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, blocks: 0 }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = Sha256::new()
                .chain_update(self.seed)
                .chain_update(self.blocks.to_le_bytes());
            self.blocks += 1;
            chunk.copy_from_slice(&block.finalize()[..chunk.len()]);
        }
    }
}

impl HasData for Random {
    type Data<'a> = RandomView<'a>;
}

impl random::Host for RandomView<'_> {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = vec![0; (length as usize).min(MAX_BYTES)];
        match &mut self.seeded {
            Some(seeded) => seeded.fill(&mut bytes),
            None => fill_from_system(&mut bytes)?,
        }
        Ok(bytes)
    }
}

fn fill_from_system(mut bytes: &mut [u8]) -> wasmtime::Result<()> {
    while !bytes.is_empty() {
        let filled = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty())?;
        bytes = &mut bytes[filled..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_stream() {
        let draw = |seed: u8| {
            let mut seeded = Seeded::new([seed; 32]);
            let mut bytes = [0; 100];
            seeded.fill(&mut bytes[..40]);
            seeded.fill(&mut bytes[40..]);
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[..32], draw(1)[64..96]);
    }
}
