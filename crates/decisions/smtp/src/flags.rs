//! `flags=DORX` behind the program in master.cf (smtp(8), lmtp(8)).

/// What is added to mail that leaves the system for a mail store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a set of four")]
pub struct Flags {
    /// `D`: a `Delivered-To:` header.
    pub delivered_to: bool,
    /// `O`: an `X-Original-To:` header.
    pub original_to: bool,
    /// `R`: a `Return-Path:` header.
    pub return_path: bool,
    /// `X`: what is delivered here is where it belongs.
    pub final_delivery: bool,
}

impl Flags {
    /// From what follows the options in a row of master.cf; of several settings the last counts. An error says what is
    /// wrong.
    pub fn parse(operands: &[String]) -> Result<Self, String> {
        let mut flags = Self::default();
        for operand in operands {
            let value = operand.get(..6).filter(|name| name.eq_ignore_ascii_case("flags="));
            let value = value.and_then(|_| operand.get(6..));
            let value = value.ok_or_else(|| format!("unknown attribute name: {operand}; use flags=DORX"))?;
            flags = Self::default();
            for flag in value.chars() {
                match flag {
                    'D' => flags.delivered_to = true,
                    'O' => flags.original_to = true,
                    'R' => flags.return_path = true,
                    'X' => flags.final_delivery = true,
                    _ => return Err(format!("unknown flag '{flag}' in {operand}; use D, O, R and X")),
                }
            }
        }
        Ok(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_letters() {
        let parse = |text: &str| Flags::parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let some = Flags { delivered_to: true, return_path: true, ..Flags::default() };
        assert_eq!(parse("flags=DR"), Ok(some));
        assert_eq!(parse("flags=OX FLAGS=RD"), Ok(some));
        assert_eq!(Flags::parse(&[]), Ok(Flags::default()));
        assert!(parse("flags=DZ").unwrap_err().contains("'Z'"));
        assert!(parse("user=me").unwrap_err().contains("user=me"));
    }
}
