// SPDX-License-Identifier: GPL-2.0

//! The library has the name that programs linked against OpenPGM 5.3 look for.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libpgm-5.3.so.0");
}
