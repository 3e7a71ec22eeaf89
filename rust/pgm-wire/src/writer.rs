// SPDX-License-Identifier: GPL-2.0
//! Writes big-endian fields into a slice, and counts those that do not fit.

use crate::Sqn;

/// Appends to a slice. What does not fit is counted but not written, so that writing to an empty
/// slice measures.
pub(crate) struct Writer<'a> {
    buf: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(buf: &'a mut [u8]) -> Self {
        Writer { buf, at: 0 }
    }

    /// Bytes written or counted.
    pub(crate) const fn len(&self) -> usize {
        self.at
    }

    /// Fields have fixed lengths, so that writing one is a store and not a loop.
    pub(crate) fn array<const N: usize>(&mut self, bytes: [u8; N]) {
        self.patch(self.at, bytes);
        self.at = self.at.saturating_add(N);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.array([value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.array(value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.array(value.to_be_bytes());
    }

    pub(crate) fn sqn(&mut self, value: Sqn) {
        self.u32(value.get());
    }

    /// Overwrites earlier bytes.
    pub(crate) fn patch<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        let rest = self.buf.get_mut(at..);
        if let Some(target) = rest.and_then(<[u8]>::first_chunk_mut) {
            *target = bytes;
        }
    }
}
