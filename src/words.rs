//! Numbers as people read them: counts, bytes, durations.

use std::time::Duration;

/// 1.86 M, 45.3 k.
pub fn count(n: u64) -> String {
    match n as f64 {
        n if n >= 99.95e6 => format!("{:.0} M", n / 1e6),
        n if n >= 9.995e6 => format!("{:.1} M", n / 1e6),
        n if n >= 1e6 => format!("{:.2} M", n / 1e6),
        n if n >= 1e3 => format!("{:.1} k", n / 1e3),
        n => n.to_string(),
    }
}

/// A size in binary units, with three digits.
pub fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 1000.0 && unit + 1 < units.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    match unit {
        0 => format!("{n} B"),
        _ if value >= 99.95 => format!("{value:.0} {}", units[unit]),
        _ if value.fract() < 0.05 => format!("{value:.0} {}", units[unit]),
        _ => format!("{value:.1} {}", units[unit]),
    }
}

/// 45 s, 41 min, 2 h 05 min, 3 d 4 h.
pub fn duration(seconds: f64) -> String {
    // The conversion saturates, and turns NaN into 0.
    let s = seconds.round() as u64;
    match s {
        0..=119 => format!("{s} s"),
        120..=7199 => format!("{} min", (s + 30) / 60),
        7200..=172_799 => {
            let minutes = (s + 30) / 60;
            format!("{} h {:02} min", minutes / 60, minutes % 60)
        }
        _ => {
            let hours = s.saturating_add(1800) / 3600;
            format!("{} d {} h", hours / 24, hours % 24)
        }
    }
}

/// Iterations per second, or seconds per iteration if that reads better.
pub fn per_second(iterations: f64) -> String {
    match iterations {
        r if r >= 10.0 => format!("{r:.0} it/s"),
        r if r >= 1.0 => format!("{r:.1} it/s"),
        r => format!("{:.1} s/it", 1.0 / r),
    }
}

/// Reads 90, 90s, 30m, 1.5h, 2d or 1h30m; a bare number is in seconds. `None` for anything else, and for a time of 0.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0.0, text.trim());
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let seconds = match unit {
            "s" => 1.0,
            "" if after.is_empty() && total == 0.0 => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after.trim_start();
    }
    Duration::try_from_secs_f64(total).ok().filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_well() {
        let texts = [7, 45_259, 1_861_000, 35_746_307, 120_000_000].map(count);
        assert_eq!(texts, ["7", "45.3 k", "1.86 M", "35.7 M", "120 M"]);
    }

    #[test]
    fn bytes_read_well() {
        let texts = [0, 999, 16 << 10, 128 << 20, 1100 << 20, 143 << 20, u64::MAX].map(bytes);
        let want = ["0 B", "999 B", "16 KiB", "128 MiB", "1.1 GiB", "143 MiB", "16777216 TiB"];
        assert_eq!(texts, want);
    }

    #[test]
    fn durations_read_well() {
        let texts = [0.4, 119.4, 120.0, 2461.0, 7199.0, 7500.0, 273_600.0].map(duration);
        assert_eq!(texts, ["0 s", "119 s", "2 min", "41 min", "120 min", "2 h 05 min", "3 d 4 h"]);
        assert_eq!(duration(f64::NAN), "0 s");
        assert!(duration(f64::INFINITY).ends_with(" h"));
    }

    #[test]
    fn rates_read_well() {
        assert_eq!([25.0, 1.5, 0.25].map(per_second), ["25 it/s", "1.5 it/s", "4.0 s/it"]);
    }

    #[test]
    fn durations_are_read() {
        let seconds = |text| parse_duration(text).map(|time| time.as_secs_f64());
        for (text, want) in [
            ("90", 90.0),
            ("90s", 90.0),
            ("30m", 1800.0),
            ("30min", 1800.0),
            ("1.5h", 5400.0),
            ("1h30m", 5400.0),
            (" 2d ", 172_800.0),
        ] {
            assert_eq!(seconds(text), Some(want), "{text}");
        }
        for text in ["", "0", "h", "2x", "-1h", "1h30", "1..5h", "1e9999d", "NaN"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
