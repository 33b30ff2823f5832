//! bounce(5): the text of notifications, built in or from bounce_template_file.
//!
//! The built-in texts keep what programs look for (the first line that names the host, the box and the first sentence of
//! a delay warning, the signature, the header lines); the prose between is our own.

use config::{Values, params as p};
use message::header_name_len;

/// The templates of bounce(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateKind {
    /// `failure_template`
    Failure,
    /// `delay_template`
    Delay,
    /// `success_template`
    Success,
    /// `verify_template`
    Verify,
}

impl TemplateKind {
    /// In the order of `postconf -b`.
    pub const ALL: [Self; 4] = [Self::Failure, Self::Delay, Self::Success, Self::Verify];

    /// `failure`, `delay`, `success`, `verify`
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Delay => "delay",
            Self::Success => "success",
            Self::Verify => "verify",
        }
    }
}

/// One template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Of the text.
    pub charset: String,
    /// `From:`, `None` for the built-in one, whose form is chosen by header_from_format.
    pub from: Option<String>,
    /// `Subject:`
    pub subject: String,
    /// `Subject:` of the postmaster's copy; only failure and delay have one.
    pub postmaster_subject: Option<String>,
    /// Whether the text has 8-bit bytes.
    pub is_eight_bit: bool,
    /// As written.
    pub text: Vec<Vec<u8>>,
    /// `$name` expanded.
    pub expanded: Vec<Vec<u8>>,
}

/// All templates of a service.
#[derive(Clone, Debug)]
pub struct Templates {
    all: [Template; 4],
    from: &'static str,
}

impl Templates {
    /// The built-in templates, overridden by those of a template file. What cannot be used is reported and left out.
    #[must_use]
    pub fn load(values: &Values, file: Option<&[u8]>) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let mut all = TemplateKind::ALL.map(built_in);
        if let Some(file) = file {
            let path = values.text(p::bounce_template_file);
            for (name, text, line) in assignments(file, path, &mut warnings) {
                let of = |kind: &TemplateKind| format!("{}_template", kind.name()).into_bytes() == name;
                let Some((kind, slot)) =
                    TemplateKind::ALL.into_iter().zip(&mut all).find(|(kind, _)| of(kind))
                else {
                    let name = String::from_utf8_lossy(&name);
                    warnings.push(format!(
                        "{path}, line {line}: unknown template name: {name} -- ignoring this template"
                    ));
                    continue;
                };
                match parse(&text, built_in(kind)) {
                    Ok(template) => *slot = template,
                    Err(why) => warnings
                        .push(format!("{path}: {why} in {} template -- ignoring this template", kind.name())),
                }
            }
        }
        let times = time_values(values);
        let times: Vec<(&str, &str)> =
            times.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let values = values.with(&times);
        for template in &mut all {
            template.expanded = template.text.iter().map(|line| expand(&values, line)).collect();
        }
        let obsolete = values.text(p::header_from_format) == "obsolete";
        let from = if obsolete {
            "MAILER-DAEMON (Mail Delivery System)"
        } else {
            "Mail Delivery System <MAILER-DAEMON>"
        };
        (Self { all, from }, warnings)
    }

    /// The template of a kind.
    #[must_use]
    pub fn of(&self, kind: TemplateKind) -> &Template {
        let [failure, delay, success, verify] = &self.all;
        match kind {
            TemplateKind::Failure => failure,
            TemplateKind::Delay => delay,
            TemplateKind::Success => success,
            TemplateKind::Verify => verify,
        }
    }

    /// The value of `From:`.
    #[must_use]
    pub fn from_of(&self, kind: TemplateKind) -> &str {
        self.of(kind).from.as_deref().unwrap_or(self.from)
    }

    /// What `postconf -b` prints: the texts with `$name` expanded.
    #[must_use]
    pub fn print_expanded(&self) -> Vec<u8> {
        self.print(
            |kind| format!("expanded_{}_text", kind.name()),
            |_| Vec::new(),
            |template| &template.expanded,
        )
    }

    /// What `postconf -t` prints: the templates as they are written.
    #[must_use]
    pub fn print_raw(&self) -> Vec<u8> {
        let head = |kind: TemplateKind| {
            let template = self.of(kind);
            let mut head = format!(
                "Charset: {}\nFrom: {}\nSubject: {}\n",
                template.charset,
                self.from_of(kind),
                template.subject
            );
            if let Some(subject) = &template.postmaster_subject {
                head += &format!("Postmaster-Subject: {subject}\n");
            }
            head.push('\n');
            head.into_bytes()
        };
        self.print(|kind| format!("{}_template", kind.name()), head, |template| &template.text)
    }

    fn print(
        &self,
        name: impl Fn(TemplateKind) -> String,
        head: impl Fn(TemplateKind) -> Vec<u8>,
        lines: impl Fn(&Template) -> &Vec<Vec<u8>>,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        for (n, kind) in TemplateKind::ALL.into_iter().enumerate() {
            if n > 0 {
                out.push(b'\n');
            }
            out.extend_from_slice(format!("{} = <<EOF\n", name(kind)).as_bytes());
            out.extend_from_slice(&head(kind));
            for line in lines(self.of(kind)) {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
            out.extend_from_slice(b"EOF\n");
        }
        out
    }
}

/// `delay_warning_time_hours` and the like.
fn time_values(values: &Values) -> Vec<(String, String)> {
    const UNITS: [(&str, u64); 5] =
        [("seconds", 1), ("minutes", 60), ("hours", 3_600), ("days", 86_400), ("weeks", 604_800)];
    let times = [
        ("delay_warning_time", values.time(p::delay_warning_time)),
        ("maximal_queue_lifetime", values.time(p::maximal_queue_lifetime)),
    ];
    let mut all = Vec::new();
    for (name, time) in times {
        for (unit, seconds) in UNITS {
            all.push((format!("{name}_{unit}"), (time.as_secs() / seconds).to_string()));
        }
    }
    all
}

fn expand(values: &Values, line: &[u8]) -> Vec<u8> {
    if !line.contains(&b'$') {
        return line.to_vec();
    }
    config::encode(&values.expand(&config::decode(line)))
}

/// `name = value` and `name = <<END ... END` of a template file, with the line number of each.
fn assignments(file: &[u8], path: &str, warnings: &mut Vec<String>) -> Vec<(Vec<u8>, Vec<u8>, usize)> {
    let mut lines = file.split(|byte| *byte == b'\n').enumerate().map(|(n, line)| (n + 1, line));
    let mut all = Vec::new();
    while let Some((number, line)) = lines.next() {
        let trimmed = line.trim_ascii();
        if trimmed.is_empty() || trimmed.starts_with(b"#") {
            continue;
        }
        let Some(equals) = trimmed.iter().position(|byte| *byte == b'=') else {
            warnings.push(format!(
                "{path}, line {number}: missing '=' after attribute name -- ignoring this line"
            ));
            continue;
        };
        let name = trimmed[..equals].trim_ascii().to_vec();
        let value = trimmed[equals + 1..].trim_ascii();
        let Some(marker) = value.strip_prefix(b"<<") else {
            all.push((name, value.to_vec(), number));
            continue;
        };
        let marker = marker.trim_ascii_start();
        if !marker.first().is_some_and(u8::is_ascii_alphanumeric) {
            warnings.push(format!(
                "{path}, line {number}: missing end marker after << -- ignoring this template"
            ));
            continue;
        }
        let mut text = Vec::new();
        let mut is_ended = false;
        for (_, line) in lines.by_ref() {
            if line == marker {
                is_ended = true;
                break;
            }
            text.push(line);
        }
        if !is_ended {
            let marker = String::from_utf8_lossy(marker);
            warnings.push(format!("{path}, line {number}: missing \"{marker}\" end marker"));
        }
        all.push((name, text.join(&b'\n'), number));
    }
    all
}

fn parse(text: &[u8], default: Template) -> Result<Template, String> {
    let mut template = Template { text: Vec::new(), is_eight_bit: false, ..default };
    let mut lines = text.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.peek()
        && let Some(len) = header_name_len(line)
    {
        let name = String::from_utf8_lossy(&line[..len]).into_owned();
        let rest = &line[len..];
        let skip = rest.iter().take_while(|byte| **byte == b':' || byte.is_ascii_whitespace()).count();
        let value = std::str::from_utf8(&rest[skip..]).ok().filter(|value| value.is_ascii());
        let value = value.ok_or_else(|| format!("non-ASCII \"{name}\" header value"))?;
        if value.is_empty() {
            return Err(format!("empty \"{name}\" header value"));
        }
        match name.to_ascii_lowercase().as_str() {
            "charset" => value.clone_into(&mut template.charset),
            "from" => template.from = Some(value.to_owned()),
            "subject" => value.clone_into(&mut template.subject),
            "postmaster-subject" if template.postmaster_subject.is_some() => {
                template.postmaster_subject = Some(value.to_owned());
            }
            "postmaster-subject" => return Err(format!("inapplicable \"{name}\" header label")),
            _ => return Err(format!("unknown \"{name}\" header label")),
        }
        lines.next();
    }
    template.text = lines.skip_while(|line| line.trim_ascii().is_empty()).map(<[u8]>::to_vec).collect();
    if template.text.is_empty() {
        return Err("missing message text".to_owned());
    }
    template.is_eight_bit = template.text.iter().any(|line| !line.is_ascii());
    if template.is_eight_bit && template.charset.eq_ignore_ascii_case("us-ascii") {
        return Err("8-bit message text without a charset other than us-ascii".to_owned());
    }
    Ok(template)
}

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

fn built_in(kind: TemplateKind) -> Template {
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
    }
}
