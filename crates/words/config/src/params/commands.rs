//! Parameters of the commands.

use super::row::*;

rows! {
    after cleanup;
    authorized_flush_users: text(0, 0), "static:anyone", "postqueue", Honoured("postdrop"), "Who may ask for deliveries with postqueue.";
    authorized_mailq_users: text(0, 0), "static:anyone", "postlog,postqueue", Honoured("postdrop"), "Who may look at the queue with mailq or postqueue.";
    authorized_submit_users: text(0, 0), "static:anyone", "postdrop,sendmail", Honoured("commands, postdrop"), "Who may submit mail with the sendmail command.";
    multi_instance_directories: text(0, 0), "", "global,postmulti", Honoured("commands"), "Configuration directories of further instances.";
    multi_instance_enable: flag(), "no", "global,postmulti", NotYet, "Lets this instance be started and stopped together with the others.";
    multi_instance_group: text(0, 0), "", "global,postmulti", NotYet, "The group of instances that this one belongs to.";
    multi_instance_name: text(0, 0), "", "global,postmulti", NotYet, "The name of this instance, which log lines then begin with.";
    multi_instance_wrapper: text(0, 0), "", "global,postfix", NotYet, "The command that `postfix` hands its work to where there are several instances.";
    multi_recipient_bounce_reject_code: int(0, 0), "550", "smtpd", Honoured("smtpd"), "The reply code for a notice to several recipients.";
    postmulti_control_commands: text(0, 0), "reload flush", "postmulti", NotYet, "Commands of `postfix` that postmulti runs only for instances that are enabled, in no special order.";
    postmulti_start_commands: text(0, 0), "start", "postmulti", NotYet, "Commands that postmulti counts as a start: enabled instances only, in their order.";
    postmulti_stop_commands: text(0, 0), "stop abort drain quick-stop", "postmulti", NotYet, "Commands that postmulti counts as a stop: instances in reverse order.";
    sendmail_fix_line_endings: text(1, 0), "always", "sendmail", Honoured("commands"), "Which lines of submitted mail that end with CR LF are taken to end there.";
}
