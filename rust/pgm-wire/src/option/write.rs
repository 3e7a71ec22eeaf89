// SPDX-License-Identifier: GPL-2.0
//! Options to be sent.

use super::{number, rule, Layout, END};
use crate::header::{NETWORK_SIGNIFICANT, OPTIONS_PRESENT};
use crate::writer::Writer;
use crate::PacketType;

/// Appends options, with OPT_LENGTH before the first and OPT_END in the last.
pub(crate) struct OptionWriter<'w, 'b> {
    w: &'w mut Writer<'b>,
    kind: PacketType,
    /// Where OPT_LENGTH starts.
    start: usize,
    /// Number and place of the last option.
    last: Option<(u8, usize)>,
    flags: u8,
}

impl<'w, 'b> OptionWriter<'w, 'b> {
    pub(crate) fn new(w: &'w mut Writer<'b>, kind: PacketType) -> Self {
        let start = w.len();
        OptionWriter {
            w,
            kind,
            start,
            last: None,
            flags: 0,
        }
    }

    /// Appends an option, if there is one. Network-significant ones come first (§9.1).
    pub(crate) fn put<T: Layout>(&mut self, option: Option<T>) {
        let Some(option) = option else { return };
        if self.last.is_none() {
            self.w.u8(number::LENGTH);
            self.w.u8(4);
            self.w.u16(0);
            self.flags = OPTIONS_PRESENT;
        }
        let at = self.w.len();
        self.w.array([T::NUMBER, 0, T::RESERVED]);
        option.write(self.w);
        let len = u8::try_from(self.w.len().saturating_sub(at)).unwrap_or(u8::MAX);
        self.w.patch(at.saturating_add(1), [len]);
        self.last = Some((T::NUMBER, at));
        if rule::network_significant(T::NUMBER, self.kind) {
            self.flags |= NETWORK_SIGNIFICANT;
        }
    }

    /// Completes OPT_LENGTH and the last option; returns the bits for the header's Options field.
    pub(crate) fn finish(self) -> u8 {
        if let Some((number, at)) = self.last {
            self.w.patch(at, [number | END]);
            let total = u16::try_from(self.w.len().saturating_sub(self.start)).unwrap_or(u16::MAX);
            self.w
                .patch(self.start.saturating_add(2), total.to_be_bytes());
        }
        self.flags
    }
}
