// SPDX-License-Identifier: GPL-2.0

//! net.pgm.*: the settings of a network namespace, one file for each row of the engine's table that
//! names one.

use core::mem::size_of;
use core::ptr::{addr_of, addr_of_mut, null_mut};
use core::sync::atomic::{AtomicU32, Ordering};

use kernel::ffi::{c_int, c_void};
use kernel::prelude::*;
use pgm_bindings as b;
use pgm_core::settings::{self, Setting, Values, COUNT, SETTINGS};

/// What bounds the memory of the host, and how long nobody can be made to give it back: root of a user
/// namespace, whom anybody may be, may lower it only.
fn is_guarded(setting: &Setting) -> bool {
    [
        &settings::REPAIR_MAX,
        &settings::SESSIONS_MAX,
        &settings::NAK_STATES_MAX,
        &settings::PIECES_MAX,
        &settings::RECEIVE_KIB_MAX,
        &settings::SEND_KIB_MAX,
        &settings::CLOSED_MAX,
    ]
    .iter()
    .any(|guarded| guarded.place() == setting.place())
}

/// The settings of one namespace. It does not move while it is registered.
pub(crate) struct Sysctls {
    values: [AtomicU32; COUNT],
    table: [b::ctl_table; COUNT],
    header: *mut b::ctl_table_header,
}

impl Sysctls {
    /// Sets the defaults and makes the files.
    ///
    /// # Safety
    ///
    /// `this` is zeroed memory of `net`, which stays where it is until [`Sysctls::unregister`].
    pub(crate) unsafe fn register(this: *mut Self, net: *mut b::net) -> Result {
        let mut named = 0usize;
        // SAFETY: By the caller.
        let anybodys = unsafe { b::pgm_is_anybodys(net) };
        // SAFETY: By the caller; both arrays have a place for every setting, and the kernel writes
        // the values as the 32-bit numbers they are.
        unsafe {
            for setting in &SETTINGS {
                let value = addr_of_mut!((*this).values)
                    .cast::<AtomicU32>()
                    .add(setting.place());
                (*value).store(setting.default, Ordering::Relaxed);
                if setting.sysctl.is_empty() {
                    continue;
                }
                let max = if anybodys && is_guarded(setting) {
                    &setting.default
                } else {
                    &setting.max
                };
                let row = addr_of_mut!((*this).table)
                    .cast::<b::ctl_table>()
                    .add(named);
                row.write(b::ctl_table {
                    procname: setting.sysctl.as_ptr().cast(),
                    data: value.cast(),
                    maxlen: size_of::<u32>() as c_int,
                    mode: 0o644,
                    proc_handler: Some(b::proc_douintvec_minmax),
                    poll: null_mut(),
                    extra1: limit(&setting.min),
                    extra2: limit(max),
                });
                named = named.wrapping_add(1);
            }
            let table = addr_of!((*this).table).cast();
            let path = c"net/pgm".as_char_ptr();
            let header = b::register_net_sysctl_sz(net, path, table, named);
            if header.is_null() {
                return Err(ENOMEM);
            }
            addr_of_mut!((*this).header).write(header);
        }
        Ok(())
    }

    /// Takes the files away.
    ///
    /// # Safety
    ///
    /// `this` is zeroed memory, registered or not.
    pub(crate) unsafe fn unregister(this: *mut Self) {
        // SAFETY: Of a null header the kernel does nothing.
        unsafe { b::unregister_net_sysctl_table((*this).header) };
    }

    /// What a new socket starts with.
    pub(crate) fn values(&self) -> Values {
        Values::from_fn(|setting| self.get(setting))
    }

    /// One setting as it is now.
    pub(crate) fn get(&self, setting: &Setting) -> u32 {
        let value = self.values.get(setting.place());
        value.map_or(setting.default, |value| value.load(Ordering::Relaxed))
    }
}

/// A bound as proc_douintvec_minmax() only reads it.
fn limit(bound: &'static u32) -> *mut c_void {
    core::ptr::from_ref(bound).cast_mut().cast()
}
