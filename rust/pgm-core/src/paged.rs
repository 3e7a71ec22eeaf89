// SPDX-License-Identifier: GPL-2.0

//! A fixed-capacity array whose memory comes page by page, so that a window costs what it holds and
//! not what it may hold. The list of pages comes block by block for the same reason.

use crate::memory::{Heap, NoMemory};

/// What the engine's work is measured by: every look at a slot of a window, a heap or a table of this
/// thread goes up by one here.
#[cfg(any(test, feature = "std"))]
pub(crate) mod steps {
    use core::cell::Cell;

    std::thread_local! {
        static TAKEN: Cell<u64> = const { Cell::new(0) };
    }

    pub(crate) fn step() {
        TAKEN.set(TAKEN.get().saturating_add(1));
    }

    /// The steps taken since the last call.
    pub fn take() -> u64 {
        TAKEN.take()
    }
}

fn step() {
    #[cfg(any(test, feature = "std"))]
    steps::step();
}

/// Slots in a page; a power of two.
pub(crate) const PAGE: u32 = 32;
/// Slots in a block of pages; a power of two.
const BLOCK: u32 = PAGE << 5;

struct Page<T, H: Heap> {
    slots: Option<H::Array<T>>,
}

impl<T, H: Heap> Default for Page<T, H> {
    fn default() -> Self {
        Self { slots: None }
    }
}

struct Block<T, H: Heap> {
    pages: Option<H::Array<Page<T, H>>>,
}

impl<T, H: Heap> Default for Block<T, H> {
    fn default() -> Self {
        Self { pages: None }
    }
}

/// `capacity` slots of `T`, each page of them absent until [`Paged::ensure`] asks for it.
pub(crate) struct Paged<T, H: Heap> {
    blocks: Option<H::Array<Block<T, H>>>,
    capacity: u32,
}

fn place(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

fn block_of(index: u32) -> usize {
    place(index.wrapping_div(BLOCK))
}

/// The page inside its block.
fn page_of(index: u32) -> usize {
    place((index & BLOCK.wrapping_sub(1)).wrapping_div(PAGE))
}

/// The slot inside its page.
fn slot_of(index: u32) -> usize {
    place(index & PAGE.wrapping_sub(1))
}

impl<T: Default, H: Heap> Paged<T, H> {
    pub(crate) const fn new(capacity: u32) -> Self {
        Self {
            blocks: None,
            capacity,
        }
    }

    pub(crate) const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The slot at `index`, which exists from now on.
    pub(crate) fn ensure(&mut self, index: u32) -> Result<&mut T, NoMemory> {
        step();
        if index >= self.capacity {
            return Err(NoMemory);
        }
        let last = self.capacity.wrapping_sub(1);
        let blocks = block_of(last).saturating_add(1);
        let pages = page_of(last.min(BLOCK.wrapping_sub(1))).saturating_add(1);
        let block = allocated::<_, H>(&mut self.blocks, blocks)?
            .get_mut(block_of(index))
            .ok_or(NoMemory)?;
        let page = allocated::<_, H>(&mut block.pages, pages)?
            .get_mut(page_of(index))
            .ok_or(NoMemory)?;
        let slots = allocated::<_, H>(&mut page.slots, place(PAGE))?;
        slots.get_mut(slot_of(index)).ok_or(NoMemory)
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        step();
        let block = self.blocks.as_ref()?.get(block_of(index))?;
        let page = block.pages.as_ref()?.get(page_of(index))?;
        page.slots.as_ref()?.get(slot_of(index))
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        step();
        let block = self.blocks.as_mut()?.get_mut(block_of(index))?;
        let page = block.pages.as_mut()?.get_mut(page_of(index))?;
        page.slots.as_mut()?.get_mut(slot_of(index))
    }

    /// Gives back the memory of the page that holds `index`, with whatever is in it. Its block goes
    /// with the last of its pages.
    pub(crate) fn release(&mut self, index: u32) {
        step();
        let blocks = self.blocks.as_mut();
        let Some(block) = blocks.and_then(|blocks| blocks.get_mut(block_of(index))) else {
            return;
        };
        let Some(pages) = block.pages.as_mut() else {
            return;
        };
        if let Some(page) = pages.get_mut(page_of(index)) {
            page.slots = None;
        }
        // A window moves upward and leaves a block by its last page, a heap shrinks to its first.
        let edge = page_of(index) == 0 || page_of(index) == pages.len().wrapping_sub(1);
        if edge && pages.iter().all(|page| page.slots.is_none()) {
            block.pages = None;
        }
    }

    /// Whether `index` is the first slot of its page.
    pub(crate) const fn begins_page(index: u32) -> bool {
        index & PAGE.wrapping_sub(1) == 0
    }

    /// Whether `index` is the last slot of its page.
    pub(crate) const fn ends_page(index: u32) -> bool {
        index & PAGE.wrapping_sub(1) == PAGE.wrapping_sub(1)
    }
}

/// The array in `place`, made with `len` elements if it is not there.
fn allocated<T: Default, H: Heap>(
    place: &mut Option<H::Array<T>>,
    len: usize,
) -> Result<&mut [T], NoMemory> {
    if place.is_none() {
        *place = Some(H::array(len).ok_or(NoMemory)?);
    }
    place.as_deref_mut().ok_or(NoMemory)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use crate::deadlines::{Deadlines, Position, Positions};
    use crate::memory::counted::{held, Counted};
    use crate::ring::Ring;
    use crate::time::{Duration, Instant};
    use pgm_wire::Sqn;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn a_window_costs_what_it_holds() {
        let mut ring = Ring::<u64, Counted>::new(1 << 15);
        assert_eq!(held(), 0);
        ring.put(Sqn::new(7), 7).unwrap();
        assert!(held() <= 2048, "{} bytes for one number", held());
        // Three times around, a hundred numbers long.
        let mut most = 0;
        for n in 0..3u32 << 15 {
            ring.put(Sqn::new(n + 100), 1).unwrap();
            ring.take_lowest(Sqn::new(n));
            most = most.max(held());
        }
        assert!(most < 6000, "{most} bytes for 100 numbers");
    }

    struct Owner(Vec<Position>);

    impl Positions for Owner {
        fn position(&mut self, key: Sqn) -> Option<&mut Position> {
            self.0.get_mut(usize::try_from(key.get()).ok()?)
        }
    }

    #[test]
    fn deadlines_cost_what_they_hold() {
        let mut deadlines = Deadlines::<Counted>::new(1 << 15);
        let mut owner = Owner(vec![Position::NONE; 10_000]);
        for round in 0..2u64 {
            for key in 0..10_000u32 {
                let at = Instant::ZERO.after(Duration::from_nanos(u64::from(key ^ 0x155) + round));
                deadlines.set(&mut owner, Sqn::new(key), at).unwrap();
            }
            assert!(held() > 100_000);
            for key in 0..10_000 {
                deadlines.cancel(&mut owner, Sqn::new(key));
            }
            assert!(held() < 2500, "{} bytes for nothing", held());
        }
    }
}
