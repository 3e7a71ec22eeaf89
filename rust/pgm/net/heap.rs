// SPDX-License-Identifier: GPL-2.0

//! The engine's memory: kernel arrays, allocated where softirqs may allocate.

use core::ops::{Deref, DerefMut};

use kernel::prelude::*;
use pgm_core::Heap;

/// Arrays from the slab allocator; an allocation may fail and never sleeps.
pub(crate) struct KernelHeap;

/// An owned array.
pub(crate) struct Array<T>(KVec<T>);

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

impl Heap for KernelHeap {
    type Array<T> = Array<T>;

    fn array<T: Default>(len: usize) -> Option<Array<T>> {
        let flags = GFP_ATOMIC | __GFP_NOWARN;
        let mut array = KVec::with_capacity(len, flags).ok()?;
        for _ in 0..len {
            array.push_within_capacity(T::default()).ok()?;
        }
        Some(Array(array))
    }
}
