//! The built-in templates. They keep what programs look for (the first line that names the host, the box and the first sentence of a
//! delay warning, the signature, the header lines); the prose between is our own.

use super::{Template, TemplateKind};

/// Where Postfix says that a built-in template comes from.
pub(super) const ORIGIN: &str = "[built-in]";

const FAILURE: &str = "\
This is the mail system at host $myhostname.

Your message did not reach everybody it was sent to. The recipients
below did not get it; what stood in the way is said with each of them.
The message, or its header, is attached.

If you cannot tell what to do about it, write to postmaster and send
this report along. Your own text may be left out.

                   The mail system";

const DELAY: &str = "\
This is the mail system at host $myhostname.

####################################################################
# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #
####################################################################

Your message could not be delivered for more than $delay_warning_time_hours hour(s).
It will be retried until it is $maximal_queue_lifetime_days day(s) old.

If you cannot tell what to do about it, write to postmaster and send
this report along. Your own text may be left out.

                   The mail system";

const SUCCESS: &str = "\
This is the mail system at host $myhostname.

Your message was handed on for the recipients below, as you wished to
be told. For those whose mailbox it is in, this was the last report.
Where another system took it, that system may still report trouble.

                   The mail system";

const VERIFY: &str = "\
This is the mail system at host $myhostname.

Below is the report on a delivery that you asked for.

                   The mail system";

pub(super) fn built_in(kind: TemplateKind) -> Template {
    let (subject, postmaster_subject, text) = match kind {
        TemplateKind::Failure => {
            ("Undelivered Mail Returned to Sender", Some("Postmaster Copy: Undelivered Mail"), FAILURE)
        }
        TemplateKind::Delay => {
            ("Delayed Mail (still being retried)", Some("Postmaster Warning: Delayed Mail"), DELAY)
        }
        TemplateKind::Success => ("Successful Mail Delivery Report", None, SUCCESS),
        TemplateKind::Verify => ("Mail Delivery Status Report", None, VERIFY),
    };
    Template {
        charset: "us-ascii".to_owned(),
        from: None,
        subject: subject.to_owned(),
        postmaster_subject: postmaster_subject.map(str::to_owned),
        is_eight_bit: false,
        text: text.lines().map(|line| line.as_bytes().to_vec()).collect(),
        expanded: Vec::new(),
        origin: ORIGIN.to_owned(),
    }
}
