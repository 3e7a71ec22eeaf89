// SPDX-License-Identifier: GPL-2.0

//! A fixed-capacity array whose memory comes page by page, so that a window costs what it holds and
//! not what it may hold.

use crate::memory::{Heap, NoMemory};

/// Slots in a page; a power of two.
const PAGE: u32 = 64;

struct Page<T, H: Heap> {
    slots: Option<H::Array<T>>,
}

impl<T, H: Heap> Default for Page<T, H> {
    fn default() -> Self {
        Self { slots: None }
    }
}

/// `capacity` slots of `T`, each page of them absent until [`Paged::ensure`] asks for it.
pub(crate) struct Paged<T, H: Heap> {
    pages: Option<H::Array<Page<T, H>>>,
    capacity: u32,
}

fn page_of(index: u32) -> usize {
    usize::try_from(index.wrapping_div(PAGE)).unwrap_or(usize::MAX)
}

fn slot_of(index: u32) -> usize {
    usize::try_from(index & PAGE.wrapping_sub(1)).unwrap_or(usize::MAX)
}

impl<T: Default, H: Heap> Paged<T, H> {
    pub(crate) const fn new(capacity: u32) -> Self {
        Self {
            pages: None,
            capacity,
        }
    }

    pub(crate) const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Makes the slot at `index` exist.
    pub(crate) fn ensure(&mut self, index: u32) -> Result<(), NoMemory> {
        if index >= self.capacity {
            return Err(NoMemory);
        }
        if self.pages.is_none() {
            let pages = page_of(self.capacity.wrapping_sub(1)).saturating_add(1);
            self.pages = Some(H::array(pages).ok_or(NoMemory)?);
        }
        let page = self
            .pages
            .as_mut()
            .and_then(|pages| pages.get_mut(page_of(index)))
            .ok_or(NoMemory)?;
        if page.slots.is_none() {
            let len = usize::try_from(PAGE).map_err(|_| NoMemory)?;
            page.slots = Some(H::array(len).ok_or(NoMemory)?);
        }
        Ok(())
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.pages
            .as_ref()?
            .get(page_of(index))?
            .slots
            .as_ref()?
            .get(slot_of(index))
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.pages
            .as_mut()?
            .get_mut(page_of(index))?
            .slots
            .as_mut()?
            .get_mut(slot_of(index))
    }

    /// Gives back the memory of the page that holds `index`, with whatever is in it.
    pub(crate) fn release(&mut self, index: u32) {
        if let Some(page) = self
            .pages
            .as_mut()
            .and_then(|pages| pages.get_mut(page_of(index)))
        {
            page.slots = None;
        }
    }

    /// Whether `index` is the last slot of its page.
    pub(crate) fn ends_page(index: u32) -> bool {
        index & PAGE.wrapping_sub(1) == PAGE.wrapping_sub(1)
    }
}
