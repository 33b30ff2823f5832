//! RFC 5322 as Postfix reads and writes it: header lines, addresses, quoting, dates, MIME structure.
//!
//! Nothing here knows a queue file, a table or a clock: bytes come in, bytes and values go out. Where
//! Postfix and the RFC disagree, this is Postfix.
//!
//! ```text
//! records ─► Scanner ─► HeaderLine (known? HeaderKind) / body
//!                          │
//!                          └─► tok822: parse ─► Token list ─► externalize / internalize
//! ```
//!
//! Diagnostics: nothing here logs, fails or panics, whatever the bytes. What cannot be understood is kept
//! as it is.

mod date;
mod full_name;
mod header;
mod mime;
mod quote;
mod quoted_printable;
mod scanner;
pub mod tok822;

pub use date::{LocalZone, log_time, mail_date, message_id_time};
pub use full_name::{FullNameForm, full_name_text};
pub use header::{HeaderKind, HeaderRole, drop_list, header_kind, header_name_len};
pub use mime::MimeLimits;
pub use quote::{QuoteOptions, quote_821_local, quote_822_local, unquote_822_local};
pub use quoted_printable::QuotedPrintable;
pub use scanner::{Part, Scanner, ScannerLimits, Step};
