//! Replies whose text never changes. Texts are Postfix 3.12's.

use types::{Dsn, FixedReply};

const fn ok(subject: u16, detail: u16, text: &'static str) -> FixedReply {
    FixedReply::new(250, Dsn::success(subject, detail), text)
}

const fn no(code: u16, subject: u16, detail: u16, text: &'static str) -> FixedReply {
    FixedReply::new(code, Dsn::permanent(subject, detail), text)
}

pub(crate) const OK: FixedReply = ok(0, 0, "Ok");
pub(crate) const SENDER_OK: FixedReply = ok(1, 0, "Ok");
pub(crate) const RECIPIENT_OK: FixedReply = ok(1, 5, "Ok");
pub(crate) const BYE: FixedReply = FixedReply::new(221, Dsn::success(0, 0), "Bye");
pub(crate) const MUST_STARTTLS: FixedReply = no(530, 7, 0, "Must issue a STARTTLS command first");
pub(crate) const NOT_SMTP: FixedReply =
    FixedReply::new(221, Dsn::success(7, 0), "Error: I can break rules, too. Goodbye.");
pub(crate) const START_DATA: FixedReply = FixedReply::bare(354, "End data with <CR><LF>.<CR><LF>");
/// Every command that Postfix knows, with those that are refused here for now.
pub(crate) const HELP: FixedReply = FixedReply::new(
    214,
    Dsn::success(0, 0),
    "Commands: AUTH BDAT DATA EHLO ETRN HELO HELP MAIL NOOP QUIT RCPT RSET STARTTLS VRFY XCLIENT XFORWARD",
);

pub(crate) const HELO_SYNTAX: FixedReply = FixedReply::bare(501, "Syntax: HELO hostname");
pub(crate) const EHLO_SYNTAX: FixedReply = FixedReply::bare(501, "Syntax: EHLO hostname");
pub(crate) const MAIL_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: MAIL FROM:<address>");
pub(crate) const RCPT_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: RCPT TO:<address>");
pub(crate) const DATA_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: DATA");
pub(crate) const BDAT_SYNTAX: FixedReply = no(521, 5, 4, "Syntax: BDAT count [LAST]");
pub(crate) const RSET_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: RSET");
pub(crate) const STARTTLS_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: STARTTLS");
pub(crate) const VRFY_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: VRFY address");
pub(crate) const VRFY_SYNTAX_UTF8: FixedReply = no(501, 5, 4, "Syntax: VRFY address [SMTPUTF8]");
pub(crate) const BAD_SYNTAX: FixedReply = no(500, 5, 2, "Error: bad syntax");
pub(crate) const BAD_UTF8: FixedReply = no(500, 5, 2, "Error: bad UTF-8 syntax");
pub(crate) const BAD_SENDER: FixedReply = no(501, 1, 7, "Bad sender address syntax");
pub(crate) const BAD_RECIPIENT: FixedReply = no(501, 1, 3, "Bad recipient address syntax");
pub(crate) const BAD_SIZE: FixedReply = no(501, 5, 4, "Bad message size syntax");
pub(crate) const HUGE_SIZE: FixedReply = no(552, 3, 4, "Message size exceeds file system imposed limit");

pub(crate) const XCLIENT_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: XCLIENT attribute=value...");
pub(crate) const XFORWARD_SYNTAX: FixedReply = no(501, 5, 4, "Syntax: XFORWARD attribute=value...");
pub(crate) const ATTRIBUTE_EXPECTED: FixedReply = no(501, 5, 4, "Error: attribute=value expected");
pub(crate) const ATTRIBUTE_TOO_LONG: FixedReply = no(501, 5, 4, "Error: attribute value too long");
pub(crate) const IN_TRANSACTION: FixedReply = no(503, 5, 1, "Error: MAIL transaction in progress");
pub(crate) const ETRN_SYNTAX: FixedReply = FixedReply::bare(500, "Syntax: ETRN domain");
pub(crate) const ETRN_IN_TRANSACTION: FixedReply =
    FixedReply::bare(503, "Error: MAIL transaction in progress");
pub(crate) const ETRN_NEEDS_HELO: FixedReply = FixedReply::bare(503, "Error: send HELO/EHLO first");
pub(crate) const ETRN_BAD_SITE: FixedReply = FixedReply::bare(501, "Error: invalid parameter syntax");
pub(crate) const ETRN_STARTED: FixedReply = FixedReply::bare(250, "Queuing started");
pub(crate) const ETRN_FAILED: FixedReply = FixedReply::bare(458, "Unable to queue messages");
pub(crate) const UNKNOWN_COMMAND: FixedReply = no(500, 5, 2, "Error: command not recognized");
pub(crate) const NOT_IMPLEMENTED: FixedReply = no(502, 5, 1, "Error: command not implemented");
pub(crate) const CHUNKING_OFF: FixedReply = no(521, 5, 1, "Error: command not implemented");
pub(crate) const VRFY_OFF: FixedReply = no(502, 5, 1, "VRFY command is disabled");
pub(crate) const AUTH_OFF: FixedReply = no(503, 5, 1, "Error: authentication not enabled");
pub(crate) const NOT_AUTHORIZED: FixedReply = no(550, 7, 0, "Error: insufficient authorization");
pub(crate) const NEED_HELO: FixedReply = no(503, 5, 1, "Error: send HELO/EHLO first");
pub(crate) const NEED_MAIL: FixedReply = no(503, 5, 1, "Error: need MAIL command");
pub(crate) const NEED_RCPT: FixedReply = no(503, 5, 1, "Error: need RCPT command");
pub(crate) const NO_RECIPIENTS: FixedReply = no(554, 5, 1, "Error: no valid recipients");
pub(crate) const NESTED_MAIL: FixedReply = no(503, 5, 1, "Error: nested MAIL command");
pub(crate) const MAIL_AFTER_BDAT: FixedReply = no(503, 5, 1, "Error: MAIL after BDAT");
pub(crate) const RCPT_AFTER_BDAT: FixedReply = no(503, 5, 1, "Error: RCPT after BDAT");
pub(crate) const DATA_AFTER_BDAT: FixedReply = no(503, 5, 1, "Error: DATA after BDAT");
pub(crate) const DECLARE_UTF8: FixedReply = no(553, 6, 7, "Must declare SMTPUTF8 to send unicode address");
pub(crate) const TOO_MANY_RECIPIENTS: FixedReply =
    FixedReply::new(452, Dsn::temporary(5, 3), "Error: too many recipients");
pub(crate) const OUT_OF_STEP: FixedReply = no(554, 5, 0, "Error: SMTP protocol synchronization");
pub(crate) const MULTIPLE_AUTH: FixedReply = no(503, 5, 4, "Error: multiple AUTH= options");
/// DSN (RFC 3461) is not announced (`smtpd_discard_ehlo_keywords`), so nobody may use it.
pub(crate) const DSN_OFF: FixedReply = no(501, 7, 1, "DSN support is disabled");
pub(crate) const BAD_RET: FixedReply = no(501, 5, 4, "Bad RET parameter syntax");
pub(crate) const BAD_ENVID: FixedReply = no(501, 5, 4, "Bad ENVID parameter syntax");
pub(crate) const VERP_OF_NOBODY: FixedReply = no(503, 5, 4, "Error: XVERP requires non-null sender");
pub(crate) const BAD_NOTIFY: FixedReply = no(501, 5, 4, "Error: Bad NOTIFY parameter syntax");
pub(crate) const BAD_ORCPT: FixedReply = no(501, 5, 4, "Error: Bad ORCPT parameter syntax");
pub(crate) const NULL_BDAT: FixedReply = no(551, 7, 1, "Null BDAT request");
pub(crate) const BIG_CHUNK: FixedReply = no(552, 3, 4, "Chunk exceeds message size limit");
pub(crate) const TOO_BIG: FixedReply = no(552, 3, 4, "Error: message file too big");
