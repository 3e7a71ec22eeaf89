// SPDX-License-Identifier: GPL-2.0

//! Columns for people.

/// Words and numbers in columns: the first `left` columns begin, the others end in line.
pub fn render(header: &[&str], rows: &[Vec<String>], left: usize) -> Vec<String> {
    let mut widths: Vec<usize> = header.iter().map(|name| name.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let header = header.iter().map(|name| (*name).to_owned()).collect();
    std::iter::once(&header)
        .chain(rows)
        .map(|row| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| {
                if column < left {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            line.trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_and_numbers_end_in_line() {
        let rows = [
            vec!["a".into(), "1".into()],
            vec!["long".into(), "1000".into()],
        ];
        assert_eq!(
            render(&["name", "n"], &rows, 1),
            ["name     n", "a        1", "long  1000"]
        );
        assert_eq!(render(&["name", "n"], &[], 1), ["name  n"]);
    }
}
