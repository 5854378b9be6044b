//! The bytes below the tar reader: buffered, counted, and never more than allowed.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use super::header::BLOCK;
use crate::layer::error::TarFault;

/// A fault before the reader adds where it happened.
pub(super) enum Trouble {
    Io(io::Error),
    Fault(TarFault),
}

impl From<TarFault> for Trouble {
    fn from(fault: TarFault) -> Self {
        Self::Fault(fault)
    }
}

pub(super) struct Input<R> {
    inner: BufReader<R>,
    offset: u64,
    limit: u64,
}

impl<R: Read> Input<R> {
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self { inner: BufReader::with_capacity(1 << 16, inner), offset: 0, limit }
    }

    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Hands what is buffered to `take`, which says how much of it it used; 0 at the end.
    fn with(&mut self, take: impl FnOnce(&[u8]) -> Result<usize, TarFault>) -> Result<usize, Trouble> {
        let buffer = loop {
            match self.inner.fill_buf() {
                // The borrow checker can't return the buffer from here; it is filled now.
                Ok(_) => break self.inner.buffer(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Trouble::Io(error)),
            }
        };
        let count = take(buffer)?;
        self.inner.consume(count);
        self.offset += count as u64;
        if self.offset > self.limit {
            return Err(TarFault::TooLarge { limit: self.limit }.into());
        }
        Ok(count)
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, Trouble> {
        self.with(|buffer| {
            let count = buffer.len().min(out.len());
            out[..count].copy_from_slice(&buffer[..count]);
            Ok(count)
        })
    }

    /// One block; none if the stream ends before it.
    pub(super) fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Trouble> {
        let mut block = [0; BLOCK];
        let mut at = 0;
        while at < BLOCK {
            match self.read(&mut block[at..])? {
                0 if at == 0 => return Ok(None),
                0 => return Err(TarFault::Truncated.into()),
                count => at += count,
            }
        }
        Ok(Some(block))
    }

    /// So many bytes, which the caller has checked against a limit.
    pub(super) fn take(&mut self, count: u64) -> Result<Vec<u8>, Trouble> {
        let mut data = Vec::new();
        while (data.len() as u64) < count {
            let left = count - data.len() as u64;
            let read = self.with(|buffer| {
                let part = &buffer[..clamp(buffer.len(), left)];
                data.extend_from_slice(part);
                Ok(part.len())
            })?;
            if read == 0 {
                return Err(TarFault::Truncated.into());
            }
        }
        Ok(data)
    }

    pub(super) fn skip(&mut self, mut count: u64) -> Result<(), Trouble> {
        while count > 0 {
            match self.with(|buffer| Ok(clamp(buffer.len(), count)))? {
                0 => return Err(TarFault::Truncated.into()),
                read => count -= read as u64,
            }
        }
        Ok(())
    }

    /// Reads to the end, where only padding may be, and no more than `most` of it.
    pub(super) fn expect_zeros(&mut self, most: u64) -> Result<(), Trouble> {
        let end = self.offset.saturating_add(most);
        loop {
            let mut other = false;
            let read = self.with(|buffer| {
                // Up to the byte that isn't padding: errors say where it is, however the stream comes.
                let zeros = buffer.iter().position(|&byte| byte != 0);
                other = zeros.is_some();
                Ok(zeros.unwrap_or(buffer.len()))
            })?;
            match read {
                _ if other => return Err(TarFault::AfterEnd.into()),
                _ if self.offset > end => return Err(TarFault::Padding { limit: most }.into()),
                0 => return Ok(()),
                _ => {}
            }
        }
    }
}

fn clamp(length: usize, most: u64) -> usize {
    usize::try_from(most).map_or(length, |most| most.min(length))
}
