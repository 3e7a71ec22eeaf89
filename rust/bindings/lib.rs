// SPDX-License-Identifier: GPL-2.0

//! The kernel's C types and functions as bindgen sees them. Nothing is written by hand here but
//! what bindgen cannot express.

#![no_std]
#![allow(clippy::all, clippy::undocumented_unsafe_blocks)]
#![allow(missing_docs)]

#[allow(warnings, unsafe_op_in_unsafe_fn)]
mod generated {
    use pin_init::{MaybeZeroable, Zeroable};

    // Types that only go through pointers here; the kernel crate has them in full.
    pub use kernel::bindings::{
        cgroup, cred, ctl_table_header, ctl_table_poll, file, mem_cgroup, mm_struct, module, net,
        net_device, page, pid, seq_file, static_key, static_key_false, task_struct, tracepoint,
        user_namespace,
    };

    pub type __kernel_size_t = usize;
    pub type __kernel_ssize_t = isize;
    pub type __kernel_ptrdiff_t = isize;

    // SAFETY: All bit patterns of the storage are valid, if they are of `S`.
    unsafe impl<S> Zeroable for __BindgenBitfieldUnit<S> where S: Zeroable {}

    include!(concat!(env!("PGM_OBJ"), "/bindings_generated.rs"));
}

pub use generated::*;
