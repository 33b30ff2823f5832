//! XFORWARD: tells a content filter where a message came from (postconf(5) `smtp_send_xforward_command`; XFORWARD_README).

use crate::{Features, SmtpSettings};
use std::io::Write;
use types::MessageAttributes;
use wire::xtext;

/// The attributes that a server takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XforwardAttributes(u8);

impl XforwardAttributes {
    const NAME: Self = Self(1);
    const ADDR: Self = Self(1 << 1);
    const PORT: Self = Self(1 << 2);
    const PROTO: Self = Self(1 << 3);
    const HELO: Self = Self(1 << 4);
    const IDENT: Self = Self(1 << 5);
    const SOURCE: Self = Self(1 << 6);

    /// Adds an attribute by the name that EHLO announces it by; others are passed over.
    pub fn announce(&mut self, name: &[u8]) {
        self.0 |= match name.to_ascii_uppercase().as_slice() {
            b"NAME" => Self::NAME.0,
            b"ADDR" => Self::ADDR.0,
            b"PORT" => Self::PORT.0,
            b"PROTO" => Self::PROTO.0,
            b"HELO" => Self::HELO.0,
            b"IDENT" => Self::IDENT.0,
            b"SOURCE" => Self::SOURCE.0,
            _ => 0,
        };
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Which of the two commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    NameAddr,
    ProtoHelo,
}

impl Kind {
    /// For `lost connection ... while`.
    pub(crate) const fn doing(self) -> &'static str {
        match self {
            Self::NameAddr => "sending XFORWARD name/address",
            Self::ProtoHelo => "sending XFORWARD protocol/helo_name",
        }
    }

    /// For `in reply to`.
    pub(crate) const fn command(self) -> &'static str {
        match self {
            Self::NameAddr => "XFORWARD name/address command",
            Self::ProtoHelo => "XFORWARD helo/protocol command",
        }
    }
}

/// A command with its line end.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    pub(crate) kind: Kind,
    pub(crate) command: Vec<u8>,
}

type Attribute<'a> = (XforwardAttributes, &'static str, Option<&'a [u8]>);

/// The commands for a message: those with something to say.
pub(crate) fn commands(
    settings: &SmtpSettings,
    features: &Features,
    message: &MessageAttributes,
) -> Vec<Forward> {
    if !settings.quirks.send_xforward_command {
        return Vec::new();
    }
    let known =
        |name: &str| Some(client(message, name)).filter(|value| !value.eq_ignore_ascii_case(b"unknown"));
    let (local, remote): (&[u8], &[u8]) = (b"LOCAL", b"REMOTE");
    let is_remote = first(message, "rewrite_context").is_some_and(|context| context != b"local");
    let name_addr = [
        (XforwardAttributes::NAME, "NAME", known("client_name")),
        (XforwardAttributes::ADDR, "ADDR", known("client_address")),
        (XforwardAttributes::PORT, "PORT", known("client_port")),
    ];
    let proto_helo = [
        (XforwardAttributes::PROTO, "PROTO", known("protocol_name")),
        (XforwardAttributes::HELO, "HELO", Some(client(message, "helo_name"))),
        (XforwardAttributes::IDENT, "IDENT", first(message, "log_ident")),
        (XforwardAttributes::SOURCE, "SOURCE", Some(if is_remote { remote } else { local })),
    ];
    let commands = [(Kind::NameAddr, name_addr.as_slice()), (Kind::ProtoHelo, proto_helo.as_slice())];
    let make = |(kind, attributes): (Kind, &[Attribute<'_>])| {
        let mut command = b"XFORWARD".to_vec();
        let wanted = attributes.iter().filter(|(attribute, ..)| features.xforward.has(*attribute));
        for (_, name, value) in wanted {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                // Writing to a Vec cannot fail.
                let _ = write!(command, " {name}=");
                // `=` stands as it is.
                xtext::append(&mut command, value, b"");
            }
        }
        let is_empty = command.len() == "XFORWARD".len();
        command.extend_from_slice(b"\r\n");
        (!is_empty).then_some(Forward { kind, command })
    };
    commands.into_iter().filter_map(make).collect()
}

/// What is logged of the client; queue files of old have only what was found out about it.
fn client<'a>(message: &'a MessageAttributes, name: &str) -> &'a [u8] {
    let logged = message.named(&format!("log_{name}"));
    let has_logged = message.named.iter().any(|(key, _)| key.starts_with(b"log_client_"));
    match logged {
        Some(value) => value,
        None if has_logged => b"",
        None => first(message, name).unwrap_or_default(),
    }
}

fn first<'a>(message: &'a MessageAttributes, name: &str) -> Option<&'a [u8]> {
    message.named.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;
    use config::Values;

    #[track_caller]
    fn check(announced: &str, attributes: &[(&str, &str)], expected: &[&str]) {
        let values = Values::for_tests(&[("smtp_send_xforward_command", "yes")]);
        let settings = SmtpSettings::load(&values, Protocol::Smtp).unwrap();
        let mut features = Features::default();
        announced.split(' ').for_each(|name| features.xforward.announce(name.as_bytes()));
        let named = attributes.iter().copied().collect();
        let message = MessageAttributes { named, ..MessageAttributes::default() };
        let found = commands(&settings, &features, &message);
        let found: Vec<_> = found.iter().map(|f| String::from_utf8_lossy(&f.command).into_owned()).collect();
        let expected: Vec<_> = expected.iter().map(|text| format!("{text}\r\n")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn only_what_is_known_and_wanted_is_told() {
        let all = "NAME ADDR PORT PROTO HELO IDENT SOURCE";
        let client = [
            ("log_client_name", "c.test"),
            ("log_client_address", "192.0.2.1"),
            ("log_client_port", "25"),
            ("log_helo_name", "a+b =\u{e9}"),
            ("log_protocol_name", "ESMTP"),
            ("client_name", "other"),
            ("rewrite_context", "remote"),
            ("log_ident", "ABC"),
        ];
        check(
            all,
            &client,
            &[
                "XFORWARD NAME=c.test ADDR=192.0.2.1 PORT=25",
                "XFORWARD PROTO=ESMTP HELO=a+2Bb+20=+C3+A9 IDENT=ABC SOURCE=REMOTE",
            ],
        );
        check("ADDR SOURCE", &client, &["XFORWARD ADDR=192.0.2.1", "XFORWARD SOURCE=REMOTE"]);
        check("name WHAT", &client, &["XFORWARD NAME=c.test"]);
        check("", &client, &[]);
        check(all, &[], &["XFORWARD SOURCE=LOCAL"]);
        check(
            "NAME ADDR",
            &[("log_client_name", "unknown"), ("log_client_address", "::1")],
            &["XFORWARD ADDR=::1"],
        );
        check(
            "NAME",
            &[("client_name", "old.test"), ("client_name", "new.test")],
            &["XFORWARD NAME=old.test"],
        );
    }
}
