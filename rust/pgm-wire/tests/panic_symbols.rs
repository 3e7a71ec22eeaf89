// SPDX-License-Identifier: GPL-2.0
//! The optimized object of the crate, built as the kernel builds it, refers to nothing that panics.

use std::io::Write;
use std::path::Path;
use std::process::Command;

// req: SEC-07
// attack: A-03
#[test]
fn no_panic_is_referenced() {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    if Command::new(&compiler).arg("--version").output().is_err() {
        // Where the test runner does not swallow it.
        let _ = writeln!(
            std::io::stderr(),
            "ok no_panic_is_referenced # SKIP no rustc in PATH"
        );
        return;
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panic_symbols");
    std::fs::create_dir_all(&dir).unwrap();
    let object = dir.join("pgm_wire.o");
    let status = Command::new(&compiler)
        .args([
            "--crate-name",
            "pgm_wire",
            "--crate-type",
            "rlib",
            "--edition",
            "2021",
        ])
        .args([
            "-Copt-level=2",
            "-Coverflow-checks=yes",
            "-Cpanic=abort",
            "-Ccodegen-units=1",
        ])
        // Incremental builds leave no function to be inlined elsewhere: all code is in the object.
        .arg(format!("-Cincremental={}", dir.display()))
        .args(["--cap-lints", "allow", "--emit=obj", "-o"])
        .arg(&object)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs"))
        .status()
        .unwrap();
    assert!(status.success());
    let bytes = std::fs::read(&object).unwrap();
    let names = |part: &str| -> Vec<String> {
        bytes
            .split(|byte| *byte == 0)
            .filter_map(|name| std::str::from_utf8(name).ok())
            .filter(|name| name.contains(part) && !name.contains(' '))
            .map(str::to_owned)
            .collect()
    };
    // The test is worth nothing if the functions were not built.
    for built in ["extent", "parse_header", "emit", "nak_list", "verify"] {
        assert!(
            !names(built).is_empty(),
            "{built} is not in {}",
            object.display()
        );
    }
    for refused in [
        "panic",
        "unwrap_failed",
        "expect_failed",
        "index_fail",
        "slice_index",
    ] {
        assert_eq!(names(refused), Vec::<String>::new());
    }
}
