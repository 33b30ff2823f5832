//! Parameters of the commands.

use super::row::*;

rows! {
    after cleanup;
    authorized_flush_users: text(0, 0), "static:anyone", "postqueue", NotYet, "";
    authorized_mailq_users: text(0, 0), "static:anyone", "postlog,postqueue", NotYet, "";
    authorized_submit_users: text(0, 0), "static:anyone", "postdrop,sendmail", Honoured("postdrop"), "Who may submit mail with the sendmail command.";
    multi_instance_directories: text(0, 0), "", "global,postmulti", Honoured("commands"), "Configuration directories of further instances.";
    multi_instance_enable: flag(), "no", "global,postmulti", NotYet, "";
    multi_instance_group: text(0, 0), "", "global,postmulti", NotYet, "";
    multi_instance_name: text(0, 0), "", "global,postmulti", NotYet, "";
    multi_instance_wrapper: text(0, 0), "", "global,postfix", NotYet, "";
    multi_recipient_bounce_reject_code: int(0, 0), "550", "smtpd", Honoured("smtpd"), "The reply code for a notice to several recipients.";
    postmulti_control_commands: text(0, 0), "reload flush", "postmulti", NotYet, "";
    postmulti_start_commands: text(0, 0), "start", "postmulti", NotYet, "";
    postmulti_stop_commands: text(0, 0), "stop abort drain quick-stop", "postmulti", NotYet, "";
    sendmail_fix_line_endings: text(1, 0), "always", "sendmail", NotYet, "";
}
