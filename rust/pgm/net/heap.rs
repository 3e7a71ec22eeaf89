// SPDX-License-Identifier: GPL-2.0

//! The engine's memory: kernel arrays, allocated where softirqs may allocate.

use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use kernel::prelude::*;
use pgm_core::{Heap, NakState};
use pgm_wire::{Sqn, Tsi};

use super::trace;

/// Arrays from the slab allocator; an allocation may fail and never sleeps.
pub(crate) struct KernelHeap;

/// For memory that may be needed in a softirq, charged to the memory cgroup of the socket there (see
/// [`super::lock::Charged`]) and to the caller's in a process.
pub(crate) fn accounted() -> kernel::alloc::Flags {
    GFP_ATOMIC | (GFP_KERNEL_ACCOUNT & !GFP_KERNEL)
}

/// An owned array: a vector that is full, so that a window's list of pages need not say how full.
pub(crate) struct Array<T> {
    data: NonNull<T>,
    len: usize,
}

// SAFETY: It owns its elements.
unsafe impl<T: Send> Send for Array<T> {}

impl<T> Drop for Array<T> {
    fn drop(&mut self) {
        // SAFETY: The parts are those of a full vector, see [`KernelHeap::array`].
        drop(unsafe { KVec::from_raw_parts(self.data.as_ptr(), self.len, self.len) });
    }
}

impl<T> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: All elements are there.
        unsafe { core::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Array<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: All elements are there, and nobody else's.
        unsafe { core::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }
}

impl Heap for KernelHeap {
    type Array<T> = Array<T>;

    fn array<T: Default>(len: usize) -> Option<Array<T>> {
        let flags = accounted() | __GFP_NOWARN;
        let mut array = KVec::with_capacity(len, flags).ok()?;
        for _ in 0..len {
            array.push_within_capacity(T::default()).ok()?;
        }
        if array.capacity() != len {
            return None;
        }
        let (data, len, _) = array.into_raw_parts();
        let data = NonNull::new(data)?;
        Some(Array { data, len })
    }

    fn nak_state(tsi: Tsi, sqn: Sqn, state: NakState) {
        trace::nak(tsi, sqn, state);
    }
}
