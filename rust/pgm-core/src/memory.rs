// SPDX-License-Identifier: GPL-2.0

//! Where the windows live: the one thing the engine asks of an allocator.

use core::ops::DerefMut;

/// An allocation was refused. The engine stays as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// A source of fixed-size arrays that may say no.
pub trait Heap {
    /// An owned array, freed when dropped.
    type Array<T>: DerefMut<Target = [T]>;

    /// `len` default values, or nothing.
    fn array<T: Default>(len: usize) -> Option<Self::Array<T>>;
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
