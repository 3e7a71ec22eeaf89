// SPDX-License-Identifier: GPL-2.0

//! Documentation/sysctl.rst is made from the table of settings. `UPDATE=1 cargo test -p pgm-core
//! --test sysctl_page` writes it anew.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt::Write;
use std::path::Path;

use pgm_core::settings::Unit;
use pgm_core::SETTINGS;

const HEAD: &str = "\
.. SPDX-License-Identifier: GPL-2.0

.. Made from rust/pgm-core/src/settings.rs by rust/pgm-core/tests/sysctl_page.rs; do not edit.

=======================
Sysctls of PGM: net.pgm
=======================

Each network namespace has settings of its own in ``/proc/sys/net/pgm``; a new namespace begins with the
defaults below, whatever its creator had. A number out of range is refused with EINVAL.

A socket takes its settings from its namespace when it is created, and a session from its listener: what
is written here changes the sockets made from then on. ``repair_max_ms`` is read when a source is closed.
Where a socket option has the same setting (pgm(7) has the option's name), the option wins.

The last six are ceilings: they hold at once, for all sockets of the namespace together. What is held above
a new ceiling stays. A session that is not proven, one that has delivered no data or is younger than a second,
gets no more than the first half of ``nak_states_max``, ``pieces_max`` and ``receive_kib_max``; the packet that
delivery waits for in a proven one may exceed the latter two by an eighth. design.rst says why.

In a network namespace of a user namespace that is not the first one, the ceilings and ``repair_max_ms`` can be
lowered, but not raised above their defaults.

";

const COLUMNS: [&str; 6] = ["net.pgm.", "unit", "least", "most", "default", "meaning"];

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Micros => "µs",
        Unit::Millis => "ms",
        Unit::KbitPerSecond => "kbit/s",
        Unit::Bytes => "bytes",
        Unit::Kib => "KiB",
        Unit::Sqns => "packets",
        Unit::Count => "",
        Unit::Percent => "%",
        Unit::Switch => "0 or 1",
    }
}

fn page() -> String {
    let mut rows = vec![COLUMNS.map(String::from)];
    for setting in SETTINGS.iter().filter(|row| !row.sysctl.is_empty()) {
        rows.push([
            setting.sysctl.to_str().unwrap().to_string(),
            unit(setting.unit).to_string(),
            setting.min.to_string(),
            setting.max.to_string(),
            setting.default.to_string(),
            format!("{}: {}", setting.name, setting.what),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..COLUMNS.len()).filter_map(width).collect();
    let rule = widths.iter().map(|width| "=".repeat(*width));
    let rule = rule.collect::<Vec<_>>().join(" ");
    let mut page = HEAD.to_string();
    for (n, row) in rows.iter().enumerate() {
        if n < 2 {
            writeln!(page, "{rule}").unwrap();
        }
        let cells = row.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join(" ");
        writeln!(page, "{}", line.trim_end()).unwrap();
    }
    writeln!(page, "{rule}").unwrap();
    page
}

#[test]
fn the_page_has_what_the_table_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Documentation/sysctl.rst");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "Documentation/sysctl.rst is stale: UPDATE=1 cargo test -p pgm-core --test sysctl_page"
    );
}
