// SPDX-License-Identifier: GPL-2.0
//! A source and its slow reference, through whatever may happen to it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pgm_core::source::tests::fuzz::fuzz(bytes));
