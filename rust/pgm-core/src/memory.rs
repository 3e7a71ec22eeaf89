// SPDX-License-Identifier: GPL-2.0

//! Where the windows live: the one thing the engine asks of an allocator.

use core::ops::DerefMut;

use pgm_wire::{Sqn, Tsi};

/// An allocation was refused. The engine stays as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// Where a missing packet came to (RFC 3208 §6.3); the numbers are those of the trace point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NakState {
    /// BACK-OFF_STATE.
    BackOff = 0,
    /// WAIT_NCF_STATE.
    WaitNcf = 1,
    /// WAIT_DATA_STATE.
    WaitData = 2,
    /// It is here.
    Repaired = 3,
    /// It was given up.
    Lost = 4,
}

/// A source of fixed-size arrays that may say no.
pub trait Heap {
    /// An owned array, freed when dropped.
    type Array<T>: DerefMut<Target = [T]>;

    /// `len` default values, or nothing.
    fn array<T: Default>(len: usize) -> Option<Self::Array<T>>;

    /// The owner may want to know of each change of a NAK state, to trace it.
    fn nak_state(_tsi: Tsi, _sqn: Sqn, _state: NakState) {}
}

/// The standard allocator.
#[cfg(any(test, feature = "std"))]
#[derive(Clone, Copy, Debug, Default)]
pub struct StdHeap;

#[cfg(any(test, feature = "std"))]
impl Heap for StdHeap {
    type Array<T> = std::vec::Vec<T>;

    fn array<T: Default>(len: usize) -> Option<Self::Array<T>> {
        let mut array = std::vec::Vec::new();
        array.try_reserve_exact(len).ok()?;
        array.resize_with(len, T::default);
        Some(array)
    }
}

/// The standard allocator, which knows how much this thread holds of it.
#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
pub(crate) mod counted {
    use super::Heap;
    use core::cell::Cell;
    use core::ops::{Deref, DerefMut};

    std::thread_local! {
        static HELD: Cell<usize> = const { Cell::new(0) };
    }

    /// Bytes that this thread holds.
    pub(crate) fn held() -> usize {
        HELD.get()
    }

    pub(crate) struct Counted;

    pub(crate) struct Array<T>(std::vec::Vec<T>);

    impl<T> Array<T> {
        fn bytes(&self) -> usize {
            core::mem::size_of_val(self.0.as_slice())
        }
    }

    impl<T> Drop for Array<T> {
        fn drop(&mut self) {
            HELD.set(HELD.get() - self.bytes());
        }
    }

    impl<T> Deref for Array<T> {
        type Target = [T];

        fn deref(&self) -> &[T] {
            &self.0
        }
    }

    impl<T> DerefMut for Array<T> {
        fn deref_mut(&mut self) -> &mut [T] {
            &mut self.0
        }
    }

    impl Heap for Counted {
        type Array<T> = Array<T>;

        fn array<T: Default>(len: usize) -> Option<Array<T>> {
            let array = Array(core::iter::repeat_with(T::default).take(len).collect());
            HELD.set(HELD.get() + array.bytes());
            Some(array)
        }
    }
}
