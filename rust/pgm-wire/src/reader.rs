// SPDX-License-Identifier: GPL-2.0
//! Reads big-endian fields off the front of a slice.

use crate::{Error, Sqn};

/// What is left of a slice, how far reading came, and how far it had to go when it failed.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
    wanted: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Reader {
            rest: bytes,
            at: 0,
            wanted: 0,
        }
    }

    /// Bytes read.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// After [`Error::Truncated`]: how long the slice would have to be to get past that point.
    pub(crate) const fn wanted(&self) -> usize {
        self.wanted
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Fails unless `n` more bytes are there, so that a need is told at once and not field by field.
    pub(crate) fn require(&mut self, n: usize) -> Result<(), Error> {
        if self.rest.len() < n {
            self.wanted = self.at.saturating_add(n);
            return Err(Error::Truncated);
        }
        Ok(())
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        self.require(n)?;
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Error::Truncated)?;
        self.rest = rest;
        self.at = self.at.saturating_add(n);
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.first_chunk().copied().ok_or(Error::Truncated)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn sqn(&mut self) -> Result<Sqn, Error> {
        self.u32().map(Sqn::new)
    }
}
