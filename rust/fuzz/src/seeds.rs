// SPDX-License-Identifier: GPL-2.0
//! Writes the packets of pgm-wire's tests into the corpus of `parse`.

#[path = "../../pgm-wire/tests/vectors/mod.rs"]
mod vectors;

fn main() -> std::io::Result<()> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/parse");
    std::fs::create_dir_all(corpus)?;
    for vector in vectors::all() {
        let name = vector
            .name
            .to_lowercase()
            .replace([' ', ','], "-")
            .replace("--", "-");
        std::fs::write(format!("{corpus}/{name}"), vector.bytes())?;
    }
    Ok(())
}
