//! Where 3.12, which we follow, differs from Debian's 3.7. Nothing else may differ.

use crate::compare::Told;

/// Leaves out of both what the versions are known to differ in.
pub(crate) fn without_differences(theirs: Told, mut ours: Told) -> (Told, Told) {
    if crate::peer::is_newest() {
        return (theirs, ours);
    }
    ours.warnings.retain(|line, _| !is_about_deprecation(line));
    if let Some(fatal) = ours.fatal.as_mut().filter(|fatal| fatal.contains("fatal: specify one of ")) {
        // 3.12 separates the options by commas.
        *fatal = fatal.replace(", ", " ");
    }
    (theirs, ours)
}

/// 3.9 and later warn about parameters that are to go.
fn is_about_deprecation(line: &str) -> bool {
    line.contains(": support for parameter ")
        || line.contains("warning: See https://www.postfix.org/DEPRECATION_README.html")
}
