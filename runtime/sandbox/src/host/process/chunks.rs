//! A program's output in pieces of whole lines.

/// Longest piece, in bytes.
const MAX_CHUNK: usize = 64 << 10;

/// Collects one stream and gives it out in pieces that end at a line where there is one.
#[derive(Default)]
pub(super) struct Chunks {
    pending: Vec<u8>,
}

impl Chunks {
    /// Takes bytes in and passes on each piece that is complete.
    pub(super) fn push<E>(
        &mut self,
        bytes: &[u8],
        mut emit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.pending.extend_from_slice(bytes);
        while self.pending.len() >= MAX_CHUNK {
            let end = last_line_end(&self.pending[..MAX_CHUNK]).unwrap_or(MAX_CHUNK);
            emit(&self.pending[..end])?;
            self.pending.drain(..end);
        }
        if let Some(end) = last_line_end(&self.pending) {
            emit(&self.pending[..end])?;
            self.pending.drain(..end);
        }
        Ok(())
    }

    /// Passes on what is left: a last line without an end.
    pub(super) fn finish<E>(
        &mut self,
        mut emit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let rest = std::mem::take(&mut self.pending);
        if rest.is_empty() { Ok(()) } else { emit(&rest) }
    }
}

fn last_line_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn pieces(inputs: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut chunks = Chunks::default();
        let mut out = Vec::new();
        let mut emit = |bytes: &[u8]| -> Result<(), Infallible> {
            out.push(bytes.to_vec());
            Ok(())
        };
        for input in inputs {
            chunks.push(input, &mut emit).unwrap();
        }
        chunks.finish(&mut emit).unwrap();
        out
    }

    #[test]
    fn pieces_end_at_lines_and_the_rest_comes_last() {
        assert_eq!(
            pieces(&[b"one\ntw", b"o\nthr", b"ee"]),
            [&b"one\n"[..], b"two\n", b"three"]
        );
    }

    #[test]
    fn a_line_without_end_is_cut_at_the_longest_piece() {
        let flood = vec![b'x'; MAX_CHUNK * 2 + 5];
        let pieces = pieces(&[&flood]);
        assert_eq!(
            pieces.iter().map(Vec::len).collect::<Vec<_>>(),
            [MAX_CHUNK, MAX_CHUNK, 5]
        );
    }
}
