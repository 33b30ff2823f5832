//! Line ends in message content, shared by the DATA and BDAT readers.

/// What a newline without CR means (postconf(5) `smtpd_forbid_bare_newline`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BareNewline {
    /// The client is not checked: any newline ends a line, all CR before it belong to the line end, and a
    /// dot between any two line ends is the end of DATA.
    Lenient,
    /// Exactly one CR belongs to a line end, and only CR LF `.` CR LF ends DATA; a bare newline in content
    /// ends a line all the same (`normalize`, `yes`).
    Normalize,
    /// As [`Self::Normalize`], and bare newlines are noticed (`note`, `reject`).
    Detect,
}

/// The longest run of CR that is kept waiting for its LF.
pub(crate) const CR_RUN_MAX: usize = 2048;

/// Cuts content into slices whose line ends are CR LF or LF with nothing to strip but one CR.
#[derive(Clone, Debug)]
pub(crate) struct LineEnds {
    pub(crate) policy: BareNewline,
    /// The last content byte was a CR.
    after_cr: bool,
    /// The last content byte was a newline, or there was none yet.
    pub(crate) at_line_start: bool,
    pub(crate) saw_bare_newline: bool,
}

impl LineEnds {
    pub(crate) fn new(policy: BareNewline) -> Self {
        Self { policy, after_cr: false, at_line_start: true, saw_bare_newline: false }
    }

    /// How much of `region` to pass on, from its start, and how much of it is used up; nothing is passed
    /// on when `region` starts with CR that are to be dropped.
    pub(crate) fn cut(&mut self, region: &[u8]) -> (usize, usize) {
        let (len, used) = match self.policy {
            BareNewline::Lenient => without_extra_cr(region),
            BareNewline::Normalize | BareNewline::Detect => (region.len(), region.len()),
        };
        let emit = &region[..len];
        if self.policy == BareNewline::Detect && !self.saw_bare_newline {
            self.saw_bare_newline = has_bare_newline(emit, self.after_cr);
        }
        if let Some(&last) = emit.last() {
            self.after_cr = last == b'\r';
            self.at_line_start = last == b'\n';
        }
        (len, used)
    }

    /// Whether a newline right after the content so far has its CR.
    pub(crate) fn is_after_cr(&self) -> bool {
        self.after_cr
    }
}

fn has_bare_newline(text: &[u8], after_cr: bool) -> bool {
    memchr::memchr_iter(b'\n', text).any(|at| match at.checked_sub(1) {
        Some(before) => text[before] != b'\r',
        None => !after_cr,
    })
}

fn without_extra_cr(region: &[u8]) -> (usize, usize) {
    let Some(at) = memchr::memmem::find(region, b"\r\r\n") else { return (region.len(), region.len()) };
    // All CR up to, not including, the last one before the newline go.
    let run = region[..at].iter().rposition(|b| *b != b'\r').map_or(0, |text| text + 1);
    (run, at + 1)
}

/// Bytes at the end of `region` that are CR and may be the start of a line end.
pub(crate) fn trailing_cr(region: &[u8]) -> usize {
    region.iter().rev().take_while(|b| **b == b'\r').take(CR_RUN_MAX).count()
}
