// SPDX-License-Identifier: GPL-2.0
//! OPT_NAK_LIST: 4 + 4n bytes (RFC 3208 §9.3), network-significant.

use super::{number, Layout};
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{Error, NakListFull, Sqn};

/// The most sequence numbers a list holds, besides the one in the packet itself.
pub const NAK_LIST_MAX: usize = 62;

/// The sequence numbers of a NAK, NNAK or NCF beyond the first. Empty means no option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NakList {
    // Unused places stay 0, so that equal lists compare equal.
    sqns: [Sqn; NAK_LIST_MAX],
    len: usize,
}

impl NakList {
    /// The empty list.
    pub const EMPTY: NakList = NakList {
        sqns: [Sqn::new(0); NAK_LIST_MAX],
        len: 0,
    };

    /// How many it holds.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends one.
    pub fn push(&mut self, sqn: Sqn) -> Result<(), NakListFull> {
        *self.sqns.get_mut(self.len).ok_or(NakListFull)? = sqn;
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// The numbers in their order.
    pub fn as_slice(&self) -> &[Sqn] {
        self.sqns.get(..self.len).unwrap_or(&[])
    }

    /// The numbers in their order.
    pub fn iter(&self) -> impl Iterator<Item = Sqn> + '_ {
        self.as_slice().iter().copied()
    }

    pub(crate) fn non_empty(&self) -> Option<NakList> {
        (!self.is_empty()).then_some(*self)
    }
}

impl Default for NakList {
    fn default() -> Self {
        NakList::EMPTY
    }
}

impl Layout for NakList {
    const NUMBER: u8 = number::NAK_LIST;

    fn read(_bits: u8, r: &mut Reader<'_>) -> Result<Self, Error> {
        let mut list = NakList::EMPTY;
        while !r.rest().is_empty() {
            list.push(r.sqn()?).map_err(|_| Error::OptionLength)?;
        }
        Ok(list)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(0);
        for sqn in self.iter() {
            w.sqn(sqn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NakList, NAK_LIST_MAX};
    use crate::{NakListFull, Sqn};

    // req: OPT-30
    #[test]
    fn holds_no_more_than_an_option() {
        let mut list = NakList::default();
        assert!(list.is_empty() && list.as_slice().is_empty());
        for value in 0..62 {
            assert_eq!(list.push(Sqn::new(value)), Ok(()));
        }
        assert_eq!(list.len(), NAK_LIST_MAX);
        let full = list;
        assert_eq!(list.push(Sqn::new(62)), Err(NakListFull));
        assert_eq!(list, full);
        assert!(list.iter().map(Sqn::get).eq(0..62));
    }
}
