// SPDX-License-Identifier: GPL-2.0

//! Rates, times and sizes as people write them.

use std::time::Duration;

/// A number and the letters after it.
fn split(text: &str) -> Result<(f64, &str), String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: f64 = digits
        .parse()
        .map_err(|_| format!("'{text}' does not start with a number"))?;
    Ok((number, unit.trim()))
}

/// A rate in bit/s with an optional k, M or G (thousands), as whole kbit/s.
pub fn parse_rate(text: &str) -> Result<u32, String> {
    let (number, unit) = split(text)?;
    let factor = match unit.trim_end_matches("bit/s") {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        _ => {
            return Err(format!(
                "'{unit}' is not a unit of rate: use k, M or G (bit/s)"
            ))
        }
    };
    let kbit = (number * factor / 1000.0).round();
    if (8.0..=1e8).contains(&kbit) {
        Ok(kbit as u32)
    } else {
        Err(format!(
            "{text} is out of range: from 8k to 100G bits a second"
        ))
    }
}

/// A time: "10s", "500ms", "2m", or a plain number of seconds.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "m" | "min" => 60.0,
        _ => return Err(format!("'{unit}' is not a unit of time: use ms, s or m")),
    };
    let seconds = number * factor;
    if seconds <= 86_400.0 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("{text} is longer than a day"))
    }
}

/// A time between two looks, at least 10 ms.
pub fn parse_interval(text: &str) -> Result<Duration, String> {
    match parse_time(text)? {
        time if time < Duration::from_millis(10) => Err(format!("{text} is too short")),
        time => Ok(time),
    }
}

/// "12.6 MB": bytes in powers of ten, as disks and networks count.
pub fn bytes(count: u64) -> String {
    scaled(count as f64, "B")
}

/// "20.0 Mbit/s"
pub fn rate(bits_per_second: f64) -> String {
    scaled(bits_per_second, "bit/s")
}

fn scaled(value: f64, unit: &str) -> String {
    for (factor, prefix) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if value >= factor {
            return format!("{:.1} {prefix}{unit}", value / factor);
        }
    }
    format!("{value:.0} {unit}")
}

/// "1 packet", "2 packets"
pub fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        assert_eq!(parse_rate("20M"), Ok(20_000));
        assert_eq!(parse_rate("1.5G"), Ok(1_500_000));
        assert_eq!(parse_rate("56kbit/s"), Ok(56));
        assert_eq!(parse_rate("64000"), Ok(64));
        for wrong in [
            "", "M", "-1M", "1T", "20 MB", "7k", "101G", "1..2M", "nan", "inf", "1e9",
        ] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(parse_time("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_time("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_time("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_time("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("0"), Ok(Duration::ZERO));
        for wrong in ["", "s", "-1s", "1h", "1 year", "100000", "."] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn printed() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_600_000), "12.6 MB");
        assert_eq!(rate(20e6), "20.0 Mbit/s");
        assert_eq!(count(1, "packet"), "1 packet");
        assert_eq!(count(0, "packet"), "0 packets");
    }
}
