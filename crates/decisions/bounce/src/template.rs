//! bounce(5): the text of notifications, built in or from bounce_template_file.

use config::{Values, params as p};

mod built_in;
mod expansion;
mod file;
mod text;

use built_in::built_in;

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

    /// The kind that `failure_template` and the like set.
    fn of_parameter(name: &str) -> Option<Self> {
        let class = name.strip_suffix("_template")?;
        Self::ALL.into_iter().find(|kind| kind.name() == class)
    }

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

/// Something wrong with a template file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Postfix's bounce(8) would end here.
    pub is_fatal: bool,
    /// In Postfix's words.
    pub text: String,
}

impl Problem {
    fn warning(text: String) -> Self {
        Self { is_fatal: false, text }
    }

    fn fatal(text: String) -> Self {
        Self { is_fatal: true, text }
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
    /// `$name` expanded, up to the first line where that was not possible.
    pub expanded: Vec<Vec<u8>>,
    /// The file it is from, for messages.
    origin: String,
}

/// What is printed, and what is said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    /// Up to the first fatal problem.
    pub text: Vec<u8>,
    /// In the order in which Postfix meets them; nothing follows a fatal one.
    pub problems: Vec<Problem>,
}

/// All templates of a service.
#[derive(Clone, Debug)]
pub struct Templates {
    all: [Template; 4],
    from: &'static str,
    /// What is wrong with the file.
    of_file: Vec<Problem>,
    /// What is wrong with each template, and with its expansion.
    of_each: [[Vec<Problem>; 2]; 4],
}

impl Templates {
    /// The built-in templates, overridden by those of a template file, for notifications: what cannot be used is reported and left out.
    #[must_use]
    pub fn load(values: &Values, file: Option<&[u8]>) -> (Self, Vec<String>) {
        let mut templates = Self::read(values, file);
        let mut problems = std::mem::take(&mut templates.of_file);
        for (kind, (template, of_one)) in
            TemplateKind::ALL.into_iter().zip(templates.all.iter_mut().zip(&mut templates.of_each))
        {
            problems.append(&mut of_one[0]);
            if of_one[1].iter().any(|problem| problem.is_fatal) {
                *template = built_in(kind);
                problems.append(&mut of_one[1]);
                (template.expanded, of_one[1]) = expansion::expanded(values, kind.name(), template);
            }
        }
        (templates, problems.into_iter().map(|problem| problem.text).collect())
    }

    /// The same with everything there is to say, for [`Templates::print_raw`] and [`Templates::print_expanded`].
    #[must_use]
    pub fn read(values: &Values, file: Option<&[u8]>) -> Self {
        let path = values.text(p::bounce_template_file);
        let assigned = file.map(|file| file::Assignments::read(path, file)).unwrap_or_default();
        let mut all = TemplateKind::ALL.map(built_in);
        let mut of_each: [[Vec<Problem>; 2]; 4] = Default::default();
        for (kind, (template, of_one)) in TemplateKind::ALL.into_iter().zip(all.iter_mut().zip(&mut of_each))
        {
            let is_meant = |(name, _): &&(String, Vec<u8>)| TemplateKind::of_parameter(name) == Some(kind);
            // Of several, the last counts; what is wrong with the others is never looked at.
            if let Some((_, value)) = assigned.all.iter().rfind(is_meant) {
                match text::parse(path, kind.name(), value, template) {
                    Ok(parsed) => *template = parsed,
                    Err(said) => of_one[0] = said.into_iter().map(Problem::warning).collect(),
                }
            }
            (template.expanded, of_one[1]) = expansion::expanded(values, kind.name(), template);
        }
        let obsolete = values.text(p::header_from_format) == "obsolete";
        let from = if obsolete {
            "MAILER-DAEMON (Mail Delivery System)"
        } else {
            "Mail Delivery System <MAILER-DAEMON>"
        };
        Self { all, from, of_file: assigned.problems, of_each }
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
    pub fn print_expanded(&self) -> Print {
        self.print(
            |kind| format!("expanded_{}_text", kind.name()),
            |_| Vec::new(),
            |template| &template.expanded,
            2,
        )
    }

    /// What `postconf -t` prints: the templates as they are written.
    #[must_use]
    pub fn print_raw(&self) -> Print {
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
        self.print(|kind| format!("{}_template", kind.name()), head, |template| &template.text, 1)
    }

    /// `stages` is how many kinds of problems count: those of the template, those of its expansion.
    fn print(
        &self,
        name: impl Fn(TemplateKind) -> String,
        head: impl Fn(TemplateKind) -> Vec<u8>,
        lines: impl Fn(&Template) -> &Vec<Vec<u8>>,
        stages: usize,
    ) -> Print {
        let mut print = Print { text: Vec::new(), problems: self.of_file.clone() };
        for (kind, of_one) in TemplateKind::ALL.into_iter().zip(&self.of_each) {
            if print.problems.iter().any(|problem| problem.is_fatal) {
                break;
            }
            if kind != TemplateKind::Failure {
                print.text.push(b'\n');
            }
            print.text.extend_from_slice(format!("{} = <<EOF\n", name(kind)).as_bytes());
            print.text.extend_from_slice(&head(kind));
            for line in lines(self.of(kind)) {
                print.text.extend_from_slice(line);
                print.text.push(b'\n');
            }
            print.problems.extend(of_one.iter().take(stages).flatten().cloned());
            if !print.problems.iter().any(|problem| problem.is_fatal) {
                print.text.extend_from_slice(b"EOF\n");
            }
        }
        print
    }
}
