//! Domain names between UTF-8 and ASCII (RFC 3492, RFC 5891), as far as `${domain_to_ascii{...}}` needs them.
//!
//! Labels are lower-cased and the ideographic full stops become dots; the full mapping tables of UTS 46 are not applied, so
//! a name that is not in its normal form is refused where it cannot be a label.

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const LABEL: usize = 63;

/// A domain name in its ASCII form; what is ASCII already comes back as it is.
pub fn domain_to_ascii(name: &str) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    if name.is_ascii() {
        return Some(name.to_owned());
    }
    let labels: Option<Vec<String>> =
        name.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']).map(label_to_ascii).collect();
    labels.map(|labels| labels.join(".")).filter(|name| name.len() <= 253)
}

/// A domain name in its UTF-8 form; what is UTF-8 already comes back as it is.
pub fn domain_to_utf8(name: &str) -> Option<String> {
    if !name.is_ascii() {
        return Some(name.to_owned());
    }
    let labels: Option<Vec<String>> = name.to_ascii_lowercase().split('.').map(label_to_utf8).collect();
    labels.map(|labels| labels.join("."))
}

fn label_to_ascii(label: &str) -> Option<String> {
    let label: String = label.chars().flat_map(char::to_lowercase).collect();
    let allowed = |c: char| {
        c.is_alphanumeric() || c == '-' || c == '_' || !c.is_ascii() && !c.is_whitespace() && !c.is_control()
    };
    if label.is_empty() || !label.chars().all(allowed) || label.chars().any(|c| u32::from(c) >= 0xf_0000) {
        return None;
    }
    if label.is_ascii() {
        return Some(label);
    }
    let encoded = format!("xn--{}", encode(&label)?);
    (encoded.len() <= LABEL).then_some(encoded)
}

fn label_to_utf8(label: &str) -> Option<String> {
    match label.strip_prefix("xn--") {
        None => Some(label.to_owned()),
        Some(encoded) => decode(encoded),
    }
}

fn adapt(delta: u32, count: u32, first: bool) -> u32 {
    let mut delta = delta / if first { 700 } else { 2 };
    delta += delta / count;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + 38)
}

fn threshold(k: u32, bias: u32) -> u32 {
    k.saturating_sub(bias).clamp(T_MIN, T_MAX)
}

fn digit(value: u32) -> Option<char> {
    char::from_digit(value, 36)
        .map(|_| if value < 26 { 'a' as u32 + value } else { '0' as u32 + value - 26 })
        .and_then(char::from_u32)
}

fn encode(label: &str) -> Option<String> {
    let mut out: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(out.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let total = u32::try_from(label.chars().count()).ok()?;
    let (mut n, mut delta, mut bias, mut done) = (128_u32, 0_u32, 72_u32, basic);
    while done < total {
        let next = label.chars().map(u32::from).filter(|&c| c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(done + 1)?)?;
        n = next;
        for c in label.chars().map(u32::from) {
            if c < n {
                delta = delta.checked_add(1)?;
            }
            if c == n {
                push_number(&mut out, delta, bias)?;
                bias = adapt(delta, done + 1, done == basic);
                delta = 0;
                done += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(out)
}

fn push_number(out: &mut String, mut number: u32, bias: u32) -> Option<()> {
    let mut k = BASE;
    loop {
        let t = threshold(k, bias);
        if number < t {
            break;
        }
        out.push(digit(t + (number - t) % (BASE - t))?);
        number = (number - t) / (BASE - t);
        k += BASE;
    }
    out.push(digit(number)?);
    Some(())
}

fn decode(encoded: &str) -> Option<String> {
    let (basic, rest) = encoded.rsplit_once('-').unwrap_or(("", encoded));
    if rest.is_empty() || encoded.len() > LABEL {
        return None;
    }
    let mut out: Vec<char> = basic.chars().collect();
    let (mut n, mut i, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = rest.bytes();
    let mut next = digits.next();
    while next.is_some() {
        let (start, mut weight, mut k) = (i, 1_u32, BASE);
        loop {
            let value = match next? {
                byte @ b'a'..=b'z' => u32::from(byte - b'a'),
                byte @ b'0'..=b'9' => u32::from(byte - b'0') + 26,
                _ => return None,
            };
            next = digits.next();
            i = i.checked_add(value.checked_mul(weight)?)?;
            let t = threshold(k, bias);
            if value < t {
                break;
            }
            weight = weight.checked_mul(BASE - t)?;
            k += BASE;
        }
        let count = u32::try_from(out.len()).ok()? + 1;
        bias = adapt(i - start, count, start == 0);
        n = n.checked_add(i / count)?;
        i %= count;
        out.insert(usize::try_from(i).ok()?, char::from_u32(n)?);
        i += 1;
    }
    Some(out.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_go_to_ascii_and_back() {
        let check = |utf8: &str, ascii: &str| {
            assert_eq!(domain_to_ascii(utf8).as_deref(), Some(ascii));
            assert_eq!(domain_to_utf8(ascii).as_deref(), Some(utf8));
        };
        check("bücher.example", "xn--bcher-kva.example");
        check("例え.テスト", "xn--r8jz45g.xn--zckzah");
        check("münchen.de", "xn--mnchen-3ya.de");
        check("räksmörgås.se", "xn--rksmrgs-5wao1o.se");
        check("plain.example", "plain.example");
        assert_eq!(domain_to_ascii("BÜCHER.example").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(domain_to_ascii("bü cher.example"), None);
        assert_eq!(domain_to_ascii("ü..example"), None);
        assert_eq!(domain_to_utf8("xn--a!.example"), None);
    }

    proptest! {
        #[test]
        fn any_text_ends(text in "\\PC{0,80}") {
            if let Some(ascii) = domain_to_ascii(&text) {
                prop_assert!(ascii.is_ascii() || text.is_ascii());
            }
            let _ = domain_to_utf8(&text);
        }
    }
}
