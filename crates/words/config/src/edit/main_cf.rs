//! Edits of main.cf.

use std::collections::BTreeMap;

use super::{
    Change, Edited,
    lines::{Line, Lines, push_line},
};
use crate::{
    main_cf::split_name_value,
    text::{decode, trim_start},
};

/// Requests to change settings of main.cf.
#[derive(Clone, Debug)]
pub struct MainEdit {
    change: Change,
    /// By the bytes of the name: new settings are added in this order.
    requests: BTreeMap<Vec<u8>, Request>,
    warnings: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Request {
    value: String,
    found: u32,
}

impl MainEdit {
    /// Reads requests: `name=value` for [`Change::Set`], `name` for the others. Of two requests for one name the last counts.
    ///
    /// # Errors
    /// What Postfix refuses, in its words: line ends, comments, no name, a value where none belongs.
    pub fn parse(change: Change, requests: &[String]) -> Result<Self, String> {
        let mut edit = Self { change, requests: BTreeMap::new(), warnings: Vec::new() };
        for request in requests {
            edit.add(request)?;
        }
        Ok(edit)
    }

    fn add(&mut self, request: &str) -> Result<(), String> {
        if request.contains('\n') {
            return Err("-e, -X, or -# accepts no multi-line input".to_owned());
        }
        let request = trim_start(request);
        if request.starts_with('#') {
            return Err("-e, -X, or -# accepts no comment input".to_owned());
        }
        let (name, value) = match self.change {
            Change::Set => split_name_value(request).map_err(|why| format!("{why}: \"{request}\""))?,
            _ if request.is_empty() => return Err("-X or -# requires non-blank parameter names".to_owned()),
            _ if request.contains('=') => {
                return Err("-X or -# requires parameter names without value".to_owned());
            }
            // White space at the end is not taken off here: Postfix looks for a name that ends so.
            _ => (request, ""),
        };
        let new = Request { value: value.to_owned(), found: 0 };
        if let Some(old) = self.requests.insert(crate::encode(name), new)
            && old.value != value
        {
            self.warnings.push(format!("ignoring earlier request: '{name} = {}'", old.value));
        }
        Ok(())
    }

    /// What is to be said about the requests themselves.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Carries the requests out on the text of the file that messages call `file`.
    #[must_use]
    pub fn apply(mut self, file: &str, text: &[u8]) -> Edited {
        let mut edited = Edited { text: Vec::with_capacity(text.len() + 256), warnings: Vec::new() };
        let mut meant = false;
        for line in Lines::of(text) {
            let kind = Line::of(line);
            if kind == Line::Start {
                meant = self.start(file, line, &mut edited);
            } else if kind == Line::Nothing || !meant {
                push_line(&mut edited.text, line);
            }
            if meant && kind != Line::Nothing && self.change == Change::CommentOut {
                edited.text.push(b'#');
                push_line(&mut edited.text, line);
            }
        }
        let missing = self.requests.iter().filter(|(_, request)| request.found == 0);
        for (name, request) in missing.filter(|_| self.change == Change::Set) {
            setting(&mut edited.text, name, &request.value);
        }
        edited
    }

    /// Replaces or copies the first line of a setting; true if a request is about it.
    fn start(&mut self, file: &str, line: &[u8], edited: &mut Edited) -> bool {
        let is_end = |byte: u8| matches!(byte, b'=' | 0 | b' ' | b'\t' | b'\r' | b'\n');
        let end = line.iter().position(|byte| is_end(*byte)).unwrap_or(line.len());
        let name = line.get(..end).unwrap_or_default();
        let Some(request) = self.requests.get_mut(name) else {
            push_line(&mut edited.text, line);
            return false;
        };
        request.found = request.found.saturating_add(1);
        if request.found == 2 {
            edited.warnings.push(format!("{file}: multiple entries for \"{}\"", decode(name)));
        }
        if self.change == Change::Set {
            setting(&mut edited.text, name, &request.value);
        }
        true
    }
}

fn setting(out: &mut Vec<u8>, name: &[u8], value: &str) {
    out.extend_from_slice(name);
    out.extend_from_slice(b" = ");
    out.extend_from_slice(&crate::encode(value));
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MainCf;
    use proptest::prelude::*;

    fn edit(change: Change, requests: &[&str], text: &str) -> Result<(String, Vec<String>), String> {
        let requests: Vec<String> = requests.iter().map(|&r| r.to_owned()).collect();
        let edit = MainEdit::parse(change, &requests)?;
        let mut warnings = edit.warnings().to_vec();
        let edited = edit.apply("/e/main.cf", text.as_bytes());
        warnings.extend(edited.warnings);
        Ok((String::from_utf8(edited.text).unwrap(), warnings))
    }

    #[test]
    fn settings_change_where_they_stand_and_comments_stay() {
        let text = "a = 1\n# c\n\nb = 2\n  more\n# mid\n\n  more\nc=3\na = 2\na\t=3";
        let check = |change, requests: &[&str], expected: &str| {
            assert_eq!(edit(change, requests, text).unwrap().0, expected, "{change:?} {requests:?}");
        };
        check(
            Change::Set,
            &["b=new value", "z =  $x ", "a=10", "y="],
            "a = 10\n# c\n\nb = new value\n# mid\n\nc=3\na = 10\na = 10\ny = \nz = $x\n",
        );
        check(
            Change::CommentOut,
            &["b", "a"],
            "#a = 1\n# c\n\n#b = 2\n#  more\n# mid\n\n#  more\nc=3\n#a = 2\n#a\t=3\n",
        );
        check(Change::Exclude, &[" b", "c"], "a = 1\n# c\n\n# mid\n\na = 2\na\t=3\n");
        check(Change::Exclude, &["nothing"], &format!("{text}\n"));
    }

    #[test]
    fn what_is_doubtful_is_said() {
        let said = |requests: &[&str]| edit(Change::Set, requests, "a = 1\na = 2\na = 3\n").unwrap().1;
        assert_eq!(said(&["a=1"]), ["/e/main.cf: multiple entries for \"a\""]);
        assert_eq!(said(&["b=1", "b=1", "b = 2"]), ["ignoring earlier request: 'b = 1'"]);
    }

    #[test]
    fn what_postfix_refuses_is_refused() {
        let check = |change, request: &str, expected: &str| {
            assert_eq!(edit(change, &[request], "").unwrap_err(), expected, "{request:?}");
        };
        check(Change::Set, "a=b\nc=d", "-e, -X, or -# accepts no multi-line input");
        check(Change::Exclude, "a\n", "-e, -X, or -# accepts no multi-line input");
        check(Change::Set, " #a=b", "-e, -X, or -# accepts no comment input");
        check(Change::Set, "a", "missing '=' after attribute name: \"a\"");
        check(Change::Set, " = b", "missing attribute name: \"= b\"");
        check(Change::Exclude, " ", "-X or -# requires non-blank parameter names");
        check(Change::CommentOut, "a=b", "-X or -# requires parameter names without value");
    }

    proptest! {
        #[test]
        fn any_text_keeps_what_is_not_meant(text: Vec<u8>) {
            let requests = ["no such name=x".replace(' ', "_")];
            let edited = MainEdit::parse(Change::Set, &requests).unwrap().apply("f", &text).text;
            prop_assert!(edited.starts_with(&text));
            prop_assert!(edited.ends_with(b"\nno_such_name = x\n") || text.is_empty());
        }

        #[test]
        fn what_is_set_is_read(value in "([!-~][ -~]{0,20}[!-~])?", before in "[ab =#\n\t]{0,40}") {
            let requests = [format!("a={value}")];
            let edited = MainEdit::parse(Change::Set, &requests).unwrap().apply("f", before.as_bytes()).text;
            if let Ok(main) = MainCf::parse("f", &edited) {
                prop_assert_eq!(main.get("a").map(|entry| entry.value.as_str()), Some(value.as_str()));
            }
        }
    }
}
