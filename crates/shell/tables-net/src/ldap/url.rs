//! LDAP URLs in entries (RFC 4516): which search they stand for. It is made at the server that has the entry.

use super::settings::scope;
use crate::escapes::decode_text;
use ldap3_proto::proto::LdapSearchScope;

#[derive(Debug, PartialEq)]
pub(super) struct LdapUrl {
    pub(super) base: String,
    pub(super) attributes: Vec<String>,
    pub(super) scope: LdapSearchScope,
    pub(super) filter: String,
}

impl LdapUrl {
    /// `None` when the text is no LDAP URL at all.
    pub(super) fn parse(text: &str) -> Option<Result<Self, String>> {
        let (scheme, rest) = text.split_once("://")?;
        let is_ldap = ["ldap", "ldaps", "ldapi"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        is_ldap.then(|| Self::parse_rest(rest))
    }

    fn parse_rest(rest: &str) -> Result<Self, String> {
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        let mut parts = path.splitn(5, '?').map(|part| decode_text(part, b'%').ok_or("bad percent-encoding"));
        let mut part = || parts.next().unwrap_or(Ok(String::new()));
        let (base, attributes, scope_text, filter) = (part()?, part()?, part()?, part()?);
        let filter = if filter.is_empty() { "(objectclass=*)".to_owned() } else { filter };
        Ok(Self {
            base,
            attributes: attributes.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            scope: scope(&scope_text)?,
            filter,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let url = LdapUrl::parse("ldap:///ou=x%2cdc=y?mail,cn?sub?(a=b)").unwrap().unwrap();
        assert_eq!((url.base.as_str(), url.filter.as_str()), ("ou=x,dc=y", "(a=b)"));
        assert_eq!((url.attributes.len(), url.scope), (2, LdapSearchScope::Subtree));
        let url = LdapUrl::parse("LDAP://host:389/dc=y").unwrap().unwrap();
        assert_eq!((url.filter.as_str(), url.scope), ("(objectclass=*)", LdapSearchScope::Base));
        assert!(LdapUrl::parse("cn=x,dc=y").is_none());
        assert!(LdapUrl::parse("ldap:///%zz").unwrap().is_err());
        assert!(LdapUrl::parse("ldap:///x??everywhere").unwrap().is_err());
    }
}
