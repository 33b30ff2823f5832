//! Numbers and spans of time as the configuration writes them.

use crate::text::is_space;

/// What `strtol` reads: white space, a sign, digits; and where it stopped. `None` beyond 64 bits.
/// Without a digit it stops where it began, with 0.
pub(crate) fn leading_integer(text: &str) -> Option<(i64, &str)> {
    let bytes = text.as_bytes();
    let blank = bytes.iter().take_while(|b| is_space(**b)).count();
    let signed = matches!(bytes.get(blank), Some(b'+' | b'-'));
    let start = blank + usize::from(signed);
    let digits = bytes.get(start..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return Some((0, text));
    }
    let from = if bytes.get(blank) == Some(&b'-') { blank } else { start };
    let number = text.get(from..start + digits)?.parse().ok()?;
    Some((number, text.get(start + digits..)?))
}

/// A whole number and nothing else.
pub(crate) fn integer(text: &str) -> Option<i64> {
    match leading_integer(text)? {
        (number, "") if !text.is_empty() => Some(number),
        _ => None,
    }
}

/// A whole number of 32 bits and nothing else.
pub(crate) fn small_integer(text: &str) -> Option<i64> {
    integer(text).filter(|&number| i32::try_from(number).is_ok())
}

/// The default unit of a time parameter: the first letter of its default value; `s` if there is none.
#[must_use]
pub fn time_unit(default: &str) -> char {
    default.chars().find(char::is_ascii_alphabetic).unwrap_or('s')
}

/// A span of time in seconds: `5`, `5d`, with `unit` where none is written. Units are `s`, `m`, `h`, `d` and `w`. As in Postfix, what
/// follows the unit does not count, and a span must fit 32 bits.
#[must_use]
pub fn time_in_seconds(text: &str, unit: char) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let (number, rest) = leading_integer(text)?;
    let seconds = match rest.chars().next().unwrap_or(unit) {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let most = i64::from(i32::MAX);
    let fits = if seconds == 1 { number <= most } else { number < most / seconds };
    (fits && number >= 0).then_some(number * seconds)
}

/// How much a delivery's result changes the concurrency of a destination: a number from 0 to 1, or `number/divisor`, where the
/// divisor is a number or one of the words `concurrency` and `sqrt_concurrency`, which is returned with the number.
#[must_use]
pub fn feedback(text: &str) -> Option<(f64, Option<&'static str>)> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    let (base, divisor) = match text.split_once('/') {
        None => (number(text)?, None),
        Some((base, divisor)) => {
            let words = ["concurrency", "sqrt_concurrency"];
            match words.into_iter().find(|word| divisor.trim().eq_ignore_ascii_case(word)) {
                Some(word) => (number(base)?, Some(word)),
                None => (number(base)? / number(divisor).filter(|n| *n > 0.0)?, None),
            }
        }
    };
    (0.0..=1.0).contains(&base).then_some((base, divisor))
}

/// A compatibility level (`major`, `major.minor` or `major.minor.patch`) as one comparable number.
#[must_use]
pub fn compatibility_level(text: &str) -> Option<i64> {
    const PART: i64 = 0x3ff;
    let mut parts = [0; 3];
    let mut rest = text;
    for (at, part) in parts.iter_mut().enumerate() {
        let (number, behind) = leading_integer(rest)?;
        let most = if at == 0 { i64::MAX >> 20 } else { PART };
        if behind.len() == rest.len() || !(0..=most).contains(&number) {
            return None;
        }
        *part = number;
        match behind.strip_prefix('.') {
            Some(next) if at < 2 => rest = next,
            None if behind.is_empty() => break,
            _ => return None,
        }
    }
    let [major, minor, patch] = parts;
    Some(major << 20 | minor << 10 | patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_time_has_a_unit() {
        let check =
            |text: &str, unit, expected| assert_eq!(time_in_seconds(text, unit), expected, "{text:?} {unit}");
        check("5", 'd', Some(432_000));
        check("5s", 'd', Some(5));
        check("1w", 's', Some(604_800));
        check("2h", 's', Some(7200));
        check("10minutes", 's', Some(600));
        check("0", 'd', Some(0));
        check("-1", 's', None);
        check("", 's', None);
        check("x", 's', None);
        check("5x", 's', None);
        check("s", 's', Some(0));
        check("2147483647", 's', Some(2_147_483_647));
        check("2147483648", 's', None);
        check("24855d", 's', None);
        check("24854d", 's', Some(24_854 * 86_400));
        check("99999999999999999999", 's', None);
    }

    #[test]
    fn a_number_is_digits_with_a_sign() {
        let check = |text: &str, expected| assert_eq!(small_integer(text), expected, "{text:?}");
        check("12", Some(12));
        check(" +12", Some(12));
        check("-3", Some(-3));
        check("", None);
        check("12 ", None);
        check("0x10", None);
        check("2147483648", None);
        assert_eq!(integer("2147483648"), Some(2_147_483_648));
        assert_eq!(integer("9223372036854775808"), None);
    }

    #[test]
    fn levels_compare_by_their_parts() {
        let level = compatibility_level;
        assert!(level("3.6") < level("3.11"));
        assert!(level("2") < level("3.6"));
        assert!(level("3.6.1") > level("3.6"));
        assert_eq!(level("3.0"), level("3"));
        for bad in ["", "x", "3.", ".6", "3.6x", "-1", "3.1024", "3.6.1.1", "3..6"] {
            assert_eq!(level(bad), None, "{bad:?}");
        }
    }
}
