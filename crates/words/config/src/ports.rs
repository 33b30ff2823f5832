//! postconf(5) `known_tcp_ports`: numbers of services that no file needs to be asked for.

use crate::text::{is_space, trim};

/// Reads `smtp=25, smtps=submissions=465`: names with their ports, and what is wrong, in Postfix's words.
#[must_use]
pub fn known_tcp_ports(text: &str) -> (Vec<(String, u16)>, Vec<String>) {
    let (mut known, mut wrong) = (Vec::new(), Vec::new());
    for association in text.split(',').filter(|text| !trim(text).is_empty()) {
        match associate(association, &mut known) {
            Ok(()) => {}
            Err(None) => wrong.push(format!("in \"{association}\" is not in \"name = value\" form")),
            Err(Some(why)) => wrong.push(format!("in \"{association}\": {why}")),
        }
    }
    (known, wrong)
}

/// Adds the names of one association; the first thing that is wrong, or `None` where there is no equal sign.
fn associate(text: &str, known: &mut Vec<(String, u16)>) -> Result<(), Option<&'static str>> {
    let (names, port) = text.rsplit_once('=').ok_or(None)?;
    let port = trim(port);
    let has_space = |text: &str| text.bytes().any(is_space);
    if port.is_empty() {
        return Err(Some("missing port value after \"=\""));
    }
    if has_space(port) {
        return Err(Some("whitespace in port number"));
    }
    let mut wrong = None;
    for name in names.split('=').map(trim) {
        let added = match name {
            "" => Err("missing service name before \"=\""),
            name if has_space(name) => Err("whitespace in service name"),
            name => add(name, port, known),
        };
        wrong = wrong.or(added.err());
    }
    wrong.map_or(Ok(()), |why| Err(Some(why)))
}

fn add(name: &str, port: &str, known: &mut Vec<(String, u16)>) -> Result<(), &'static str> {
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if is_number(name) {
        return Err("numerical service name");
    }
    if !is_number(port) {
        return Err("non-numerical service port");
    }
    let port = port.parse().map_err(|_| "port number out of range")?;
    if known.iter().any(|(known, _)| known == name) {
        return Err("duplicate service name");
    }
    known.push((name.to_owned(), port));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_names() {
        let check = |text: &str, known: &[(&str, u16)], wrong: &[&str]| {
            let own = known.iter().map(|&(name, port)| (name.to_owned(), port)).collect();
            assert_eq!(
                known_tcp_ports(text),
                (own, wrong.iter().map(|&w| w.to_owned()).collect()),
                "{text:?}"
            );
        };
        check("", &[], &[]);
        check(
            "smtp = 25, smtps=submissions =465,",
            &[("smtp", 25), ("smtps", 465), ("submissions", 465)],
            &[],
        );
        check("a", &[], &["in \"a\" is not in \"name = value\" form"]);
        check("a=", &[], &["in \"a=\": missing port value after \"=\""]);
        check("=1", &[], &["in \"=1\": missing service name before \"=\""]);
        check("a b=1", &[], &["in \"a b=1\": whitespace in service name"]);
        check("a=1 2", &[], &["in \"a=1 2\": whitespace in port number"]);
        check("1=2", &[], &["in \"1=2\": numerical service name"]);
        check("a=b=1x", &[], &["in \"a=b=1x\": non-numerical service port"]);
        check("a=65536", &[], &["in \"a=65536\": port number out of range"]);
        check("a=1,a=2", &[("a", 1)], &["in \"a=2\": duplicate service name"]);
    }
}
