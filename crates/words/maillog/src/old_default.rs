//! Lines about defaults of older versions, which a low `compatibility_level` keeps: administrators look for them before they
//! raise the level (COMPATIBILITY_README).

use crate::Client;
use bstr::BStr;
use std::{fmt, net::SocketAddr};
use types::Address;

/// What an old default did just now that the new one would not have done.
#[derive(Clone, Debug)]
pub enum OldDefault<'a> {
    /// A client is in mynetworks as it was made before 3.0; the style.
    MynetworksStyle(&'a str, &'a Client),
    /// A domain is in relay_domains because it is in mydestination.
    RelayDomain(&'a BStr),
    /// The same, said of a recipient that is not looked up.
    RelayAddress(&'a Address),
    /// The same, said of a site whose mail is tried at once.
    FlushDomain(&'a BStr),
    /// Nothing but the new smtpd_relay_restrictions would have refused a recipient.
    RelayRestrictions(&'a Address, &'a Client),
    /// A recipient was refused before the relay restrictions were asked.
    RelayBeforeRecipient(&'a Address, &'a Client),
    /// An address that is not ASCII came without SMTPUTF8: `sender` or `recipient`.
    Smtputf8(&'a str, &'a Address, &'a Client),
    /// A domain without dot was completed.
    AppendDotMydomain {
        /// As it was.
        domain: &'a BStr,
        /// What was added.
        mydomain: &'a str,
    },
    /// A client is said to be on a black or a white list.
    RespectfulLogging(SocketAddr),
    /// A setting that holds for all there is to do: its name and value.
    Setting(&'a str, &'a str),
}

impl fmt::Display for OldDefault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("using backwards-compatible default setting ")?;
        match self {
            Self::MynetworksStyle(style, client) => {
                write!(f, "mynetworks_style={style} to permit request from client \"{client}\"")
            }
            Self::RelayDomain(domain) => {
                write!(f, "relay_domains=$mydestination to accept mail for domain \"{domain}\"")
            }
            Self::RelayAddress(address) => {
                write!(f, "relay_domains=$mydestination to accept mail for address \"{address}\"")
            }
            Self::FlushDomain(domain) => {
                write!(f, "relay_domains=$mydestination to flush mail for domain \"{domain}\"")
            }
            Self::RelayRestrictions(recipient, client) => write!(
                f,
                "\"smtpd_relay_restrictions = (empty)\" to avoid \"Relay access denied\" error for recipient \
                 \"{recipient}\" from client \"{client}\""
            ),
            Self::RelayBeforeRecipient(recipient, client) => write!(
                f,
                "smtpd_relay_before_recipient_restrictions=no to reject recipient \"{recipient}\" from client \
                 \"{client}\""
            ),
            Self::Smtputf8(which, address, client) => {
                write!(
                    f,
                    "smtputf8_enable=no to accept non-ASCII {which} address \"{address}\" from {client}"
                )
            }
            Self::AppendDotMydomain { domain, mydomain } => {
                write!(f, "append_dot_mydomain=yes to rewrite \"{domain}\" to \"{domain}.{mydomain}\"")?;
                // It need not be completed where it is known as it is.
                match domain.eq_ignore_ascii_case(b"localhost") {
                    true => f.write_str("; please add \"localhost\" to mydestination or other address class"),
                    false => Ok(()),
                }
            }
            Self::RespectfulLogging(client) => {
                write!(f, "respectful_logging=no for client [{}]:{}", client.ip(), client.port())
            }
            Self::Setting(name, value) => write!(f, "{name}={value}"),
        }
    }
}
