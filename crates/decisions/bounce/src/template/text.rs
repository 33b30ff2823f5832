//! The value of a template: pseudo headers, an empty line, text.

use message::header_name_len;

use super::Template;

/// Reads a value over the built-in template of its kind, or says why that stays in use.
pub(super) fn parse(
    origin: &str,
    class: &str,
    value: &[u8],
    default: &Template,
) -> Result<Template, Vec<String>> {
    let ignored = |why: &str| vec![format!("{origin}: {why} in {class} template -- ignoring this template")];
    let mut template = Template { text: Vec::new(), is_eight_bit: false, ..default.clone() };
    origin.clone_into(&mut template.origin);
    let mut lines = value.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.peek()
        && let Some(len) = header_name_len(line)
    {
        header(&mut template, line, len).map_err(|why| ignored(&why))?;
        lines.next();
    }
    template.text = lines.skip_while(|line| line.trim_ascii().is_empty()).map(<[u8]>::to_vec).collect();
    if template.text.is_empty() {
        return Err(ignored("missing message text"));
    }
    template.is_eight_bit = template.text.iter().any(|line| !line.is_ascii());
    if template.is_eight_bit && template.charset.eq_ignore_ascii_case("us-ascii") {
        return Err(vec![
            format!("{origin}: 8-bit message text in {class} template"),
            "please specify a charset value other than us-ascii".to_owned(),
            "-- ignoring this template for now".to_owned(),
        ]);
    }
    Ok(template)
}

fn header(template: &mut Template, line: &[u8], len: usize) -> Result<(), String> {
    let name = String::from_utf8_lossy(&line[..len]).into_owned();
    let rest = &line[len..];
    let skip = rest.iter().take_while(|byte| **byte == b':' || byte.is_ascii_whitespace()).count();
    if skip == rest.len() {
        return Err(format!("empty \"{name}\" header value"));
    }
    let value = std::str::from_utf8(&rest[skip..]).ok().filter(|value| value.is_ascii());
    let value = value.ok_or_else(|| format!("non-ASCII \"{name}\" header value"))?;
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
    Ok(())
}
