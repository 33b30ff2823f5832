//! Header lines by name: what is a header at all, and which headers mean something to a mail system.

/// The length of the header's name if a line can begin a header, white space before the colon not counted.
/// Printable ASCII up to the colon, blanks only right before it (RFC 822 section 3.4.2).
#[must_use]
pub fn header_name_len(line: &[u8]) -> Option<usize> {
    let mut name_len = 0;
    let mut is_name_over = false;
    for &byte in line {
        match byte {
            b':' => return (name_len > 0).then_some(name_len),
            b' ' | b'\t' if name_len > 0 => is_name_over = true,
            0x21..=0x7e if !is_name_over => name_len += 1,
            _ => return None,
        }
    }
    None
}

/// What the addresses in a header are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderRole {
    /// No addresses that a mail system looks at.
    Other,
    /// Senders.
    Sender,
    /// Recipients that nobody extracts.
    Recipient,
    /// Recipients, which `sendmail -t` extracts.
    ExtractRecipient,
    /// MIME structure.
    Mime,
}

macro_rules! header_kinds {
    ($($kind:ident, $name:literal, $role:ident;)*) => {
        /// The headers that Postfix knows by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum HeaderKind {
            $(#[doc = concat!("`", $name, ":`")] $kind,)*
        }

        impl HeaderKind {
            /// The header's name as Postfix spells it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// What the addresses in it are.
            #[must_use]
            pub const fn role(self) -> HeaderRole {
                match self { $(Self::$kind => HeaderRole::$role,)* }
            }

            const ALL: &'static [Self] = &[$(Self::$kind,)*];
        }
    };
}

header_kinds! {
    ApparentlyTo, "Apparently-To", Recipient;
    Bcc, "Bcc", ExtractRecipient;
    Cc, "Cc", ExtractRecipient;
    ContentDescription, "Content-Description", Mime;
    ContentDisposition, "Content-Disposition", Mime;
    ContentId, "Content-ID", Mime;
    ContentLength, "Content-Length", Other;
    ContentTransferEncoding, "Content-Transfer-Encoding", Mime;
    ContentType, "Content-Type", Mime;
    DeliveredTo, "Delivered-To", Other;
    DispositionNotificationTo, "Disposition-Notification-To", Sender;
    Date, "Date", Other;
    ErrorsTo, "Errors-To", Sender;
    From, "From", Sender;
    MailFollowupTo, "Mail-Followup-To", Sender;
    MessageId, "Message-Id", Other;
    MimeVersion, "MIME-Version", Mime;
    Received, "Received", Other;
    ReplyTo, "Reply-To", Sender;
    ResentBcc, "Resent-Bcc", ExtractRecipient;
    ResentCc, "Resent-Cc", ExtractRecipient;
    ResentDate, "Resent-Date", Other;
    ResentFrom, "Resent-From", Sender;
    ResentMessageId, "Resent-Message-Id", Other;
    ResentReplyTo, "Resent-Reply-To", Recipient;
    ResentSender, "Resent-Sender", Sender;
    ResentTo, "Resent-To", ExtractRecipient;
    ReturnPath, "Return-Path", Sender;
    ReturnReceiptTo, "Return-Receipt-To", Sender;
    Sender, "Sender", Sender;
    To, "To", ExtractRecipient;
    TlsRequired, "TLS-Required", Other;
    RequireTlsEsmtp, "Require-TLS-ESMTP", Other;
}

impl HeaderKind {
    /// Whether it belongs to a resent message (`Resent-*`).
    #[must_use]
    pub fn is_resent(self) -> bool {
        self.name().starts_with("Resent-")
    }

    /// One bit for each kind, for sets of headers seen.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << (self as u32)
    }
}

/// The kind of a header by its name, compared without case.
#[must_use]
pub fn header_kind(name: &[u8]) -> Option<HeaderKind> {
    // The first letter rules most of the table out; most headers of a message end here.
    if !(2..=27).contains(&name.len()) {
        return None;
    }
    HeaderKind::ALL
        .iter()
        .copied()
        .find(|kind| kind.name().len() == name.len() && kind.name().as_bytes().eq_ignore_ascii_case(name))
}

/// The names of `message_drop_headers`, ready for comparison.
#[must_use]
pub fn drop_list(message_drop_headers: &[&str]) -> Vec<Box<[u8]>> {
    message_drop_headers.iter().map(|name| name.to_ascii_lowercase().into_bytes().into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(line: &[u8], expected: Option<usize>) {
        assert_eq!(header_name_len(line), expected, "{line:?}");
    }

    #[test]
    fn recognises_headers_as_postfix_does() {
        check(b"Subject: x", Some(7));
        check(b"Subject:x", Some(7));
        check(b"Subject : x", Some(7));
        check(b"Subject \t: x", Some(7));
        check(b"Sub ject: x", None);
        check(b"Subject", None);
        check(b"", None);
        check(b": x", None);
        check(b" Subject: x", None);
        check(b"S\xc3\xbc: x", None);
        check(b"S\x01: x", None);
        check(b"S\x7f: x", None);
        check(b"S\0: x", None);
        check(b"!#:", Some(2));
    }

    #[test]
    fn finds_known_headers_without_case() {
        assert_eq!(header_kind(b"mEssage-ID"), Some(HeaderKind::MessageId));
        assert_eq!(header_kind(b"disposition-notification-to"), Some(HeaderKind::DispositionNotificationTo));
        assert_eq!(header_kind(b"Subject"), None);
        assert!(HeaderKind::ResentTo.is_resent());
        assert!(!HeaderKind::To.is_resent());
    }

    proptest! {
        #[test]
        fn names_end_before_a_colon(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(len) = header_name_len(&line) {
                prop_assert!(line[..len].iter().all(u8::is_ascii_graphic));
                prop_assert!(line[len..].contains(&b':'));
            }
        }
    }
}
