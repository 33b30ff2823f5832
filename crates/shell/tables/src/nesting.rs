//! Rules between `if` and `endif`, which all tables of rules nest alike (cidr_table(5), pcre_table(5), regexp_table(5)).

/// A rule, where it stands, and what it does.
pub(crate) struct Rule<M, C> {
    pub(crate) line: usize,
    pub(crate) action: Action<M, C>,
}

pub(crate) enum Action<M, C> {
    Match(M),
    /// `end` is the index of the matching `endif`.
    If {
        condition: C,
        end: Option<usize>,
    },
    EndIf,
}

impl<M, C> Action<M, C> {
    /// The `endif` that belongs to it is not known yet.
    pub(crate) const fn open_if(condition: C) -> Self {
        Self::If { condition, end: None }
    }
}

/// The rules of a table as they are read.
pub(crate) struct Nesting<M, C> {
    rules: Vec<Rule<M, C>>,
    open_ifs: Vec<usize>,
}

impl<M, C> Nesting<M, C> {
    pub(crate) const fn new() -> Self {
        Self { rules: Vec::new(), open_ifs: Vec::new() }
    }

    /// Whether an `endif` may come.
    pub(crate) const fn is_inside_if(&self) -> bool {
        !self.open_ifs.is_empty()
    }

    pub(crate) fn push(&mut self, line: usize, action: Action<M, C>) {
        let here = self.rules.len();
        match action {
            Action::If { .. } => self.open_ifs.push(here),
            Action::EndIf => {
                let opened = self.open_ifs.pop().and_then(|opened| self.rules.get_mut(opened));
                if let Some(Rule { action: Action::If { end, .. }, .. }) = opened {
                    *end = Some(here);
                }
            }
            Action::Match(_) => {}
        }
        self.rules.push(Rule { line, action });
    }

    /// All rules; `unclosed` is told the line of each `if` without `endif`, the innermost first.
    pub(crate) fn finish(self, mut unclosed: impl FnMut(usize)) -> Vec<Rule<M, C>> {
        for opened in self.open_ifs.into_iter().rev() {
            unclosed(self.rules.get(opened).map_or(0, |rule| rule.line));
        }
        self.rules
    }
}
