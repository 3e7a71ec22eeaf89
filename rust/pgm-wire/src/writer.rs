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

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.patch(self.at, bytes);
        self.at = self.at.saturating_add(bytes.len());
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn sqn(&mut self, value: Sqn) {
        self.u32(value.get());
    }

    /// Overwrites earlier bytes.
    pub(crate) fn patch(&mut self, at: usize, bytes: &[u8]) {
        if let Some(target) = self.buf.get_mut(at..at.saturating_add(bytes.len())) {
            for (to, from) in target.iter_mut().zip(bytes) {
                *to = *from;
            }
        }
    }
}
