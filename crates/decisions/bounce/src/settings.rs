//! Typed view of the parameters that bounce(8) reads.

use config::{NotifyClasses, Values, params as p};

use crate::template::Templates;

/// The parameters of notifications, and the templates.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each field is the parameter of the same name of postconf(5)")]
#[allow(clippy::struct_excessive_bools, reason = "each is a parameter or a class of notify_classes")]
pub struct BounceSettings {
    pub bounce_size_limit: u64,
    pub bounce_notice_recipient: String,
    /// `2bounce_notice_recipient`
    pub double_bounce_notice_recipient: String,
    pub delay_notice_recipient: String,
    pub enable_threaded_bounces: bool,
    pub smtputf8_enable: bool,
    pub myhostname: String,
    pub maximal_queue_lifetime: std::time::Duration,
    /// `double_bounce_sender@myhostname`
    pub double_bounce_sender: String,
    /// `MAILER-DAEMON@myhostname`: who a message without sender is from.
    pub mailer_daemon: String,
    /// `mail_name` with everything that cannot be part of a header name turned into `-`.
    pub mail_name: String,
    /// `bounce` of notify_classes.
    pub notify_bounce: bool,
    /// `2bounce` of notify_classes.
    pub notify_2bounce: bool,
    /// `delay` of notify_classes.
    pub notify_delay: bool,
    /// The built-in templates, or those of bounce_template_file.
    pub templates: Templates,
}

impl BounceSettings {
    /// `template_file` is the content of bounce_template_file, if that is set and could be read. The second value lists
    /// what is wrong with it.
    #[must_use]
    pub fn load(values: &Values, template_file: Option<&[u8]>) -> (Self, Vec<String>) {
        let (templates, warnings) = Templates::load(values, template_file);
        let classes = values.notify_classes();
        let mail_name = values
            .text(p::mail_name)
            .chars()
            .map(|c| if " \t\r\n()<>@,;:\\\".[]".contains(c) || c.is_control() { '-' } else { c })
            .collect();
        let settings = Self {
            bounce_size_limit: u64::try_from(values.int(p::bounce_size_limit)).unwrap_or(0),
            bounce_notice_recipient: values.text(p::bounce_notice_recipient).to_owned(),
            double_bounce_notice_recipient: values.text(p::double_bounce_notice_recipient).to_owned(),
            delay_notice_recipient: values.text(p::delay_notice_recipient).to_owned(),
            enable_threaded_bounces: values.bool(p::enable_threaded_bounces),
            smtputf8_enable: values.bool(p::smtputf8_enable),
            myhostname: values.text(p::myhostname).to_owned(),
            maximal_queue_lifetime: values.time(p::maximal_queue_lifetime),
            double_bounce_sender: format!(
                "{}@{}",
                values.text(p::double_bounce_sender),
                values.text(p::myhostname)
            ),
            mailer_daemon: format!("MAILER-DAEMON@{}", values.text(p::myhostname)),
            mail_name,
            notify_bounce: classes.has_any(NotifyClasses::BOUNCE),
            notify_2bounce: classes.has_any(NotifyClasses::DOUBLE_BOUNCE),
            notify_delay: classes.has_any(NotifyClasses::DELAY),
            templates,
        };
        (settings, warnings)
    }
}
