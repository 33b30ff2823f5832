//! Names that belong to databases: `mysql:NAME` makes `NAME_query` and others known (the old way to configure a database).

use super::{About, Finding, Scan};
use crate::{
    master_cf::inside,
    text::{Tokens, decode, encode},
};

/// Lists in lists are followed this deep.
const DEPTH: u32 = 50;

const LDAP: &str = "bind bind_dn bind_pw cache cache_expiry cache_size chase_referrals debuglevel dereference domain expansion_limit \
    leaf_result_attribute query_filter recursion_limit result_attribute result_filter result_format sasl_authz_id sasl_mechs \
    sasl_minssf sasl_realm scope search_base server_host server_port size_limit special_result_attribute start_tls \
    terminal_result_attribute timeout tls_ca_cert_dir tls_ca_cert_file tls_cert tls_cipher_suite tls_key tls_random_file \
    tls_require_cert version";
const MEMCACHE: &str = "backup data_size_limit domain flags key_digest key_format line_size_limit max_try memcache retry_pause timeout ttl";
const MONGODB: &str =
    "collection dbname domain expansion_limit projection query_filter result_attribute result_format uri";
const MYSQL: &str = "additional_conditions charset dbname domain expansion_limit hosts idle_interval option_file option_group password \
    query require_result_set result_format retry_interval select_field table tls_CAfile tls_CApath tls_cert_file tls_ciphers \
    tls_key_file tls_verify_cert user where_field";
const PGSQL: &str = "additional_conditions dbname domain encoding expansion_limit hosts idle_interval password query result_format \
    retry_interval select_field select_function table user where_field";
const SQLITE: &str =
    "additional_conditions dbpath domain expansion_limit query result_format select_field table where_field";

fn suffixes(database: &str) -> &'static str {
    match database {
        "ldap" => LDAP,
        "memcache" => MEMCACHE,
        "mongodb" => MONGODB,
        "mysql" => MYSQL,
        "pgsql" => PGSQL,
        "sqlite" => SQLITE,
        _ => "",
    }
}

/// True if the client file of a database of this type may set the name.
#[must_use]
pub fn is_client_parameter(database: &str, name: &str) -> bool {
    suffixes(database).split_ascii_whitespace().any(|suffix| suffix == name)
}

impl Scan<'_> {
    /// Looks for `type:name` in the expanded value of a parameter.
    pub(super) fn databases(&mut self, setting: &str, value: &str, row: Option<usize>) {
        if !value.contains([':', '#', '$', '{']) {
            return;
        }
        let values = match row.and_then(|row| self.spaces.of_row(row)) {
            None => self.sources.values.clone(),
            Some(settings) => {
                let settings: Vec<(&str, &str)> =
                    settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                self.sources.values.with(&settings)
            }
        };
        let expansion = values.expansion(value);
        if expansion.error {
            self.complain(setting, row, expansion.warnings);
            self.names.fatal = Some("macro processing error".to_owned());
        } else {
            self.look(setting, &expansion.text, row, DEPTH);
        }
    }

    fn look(&mut self, setting: &str, text: &str, row: Option<usize>, depth: u32) {
        let mut tokens = Tokens { rest: text, separators: b", \t\r\n", braces: true };
        while let Some(token) = tokens.next() {
            if token.starts_with('#') {
                return self.comment(setting, token, tokens.rest, row);
            }
            self.element(setting, token, row, depth.saturating_sub(1));
        }
    }

    fn comment(&mut self, setting: &str, token: &str, rest: &str, row: Option<usize>) {
        let rest = encode(rest);
        let rest = decode(rest.get(1..).map_or(&[], |rest| rest.get(..20).unwrap_or(rest)));
        self.find(row, setting, format!("#comment after other text is not allowed: {token} {rest}..."));
    }

    fn element(&mut self, setting: &str, token: &str, row: Option<usize>, depth: u32) {
        if depth == 0 {
            return;
        }
        if token.starts_with('{') {
            let inside = self.inside(setting, token, row);
            return self.look(setting, inside, row, depth);
        }
        let mut parts = token.splitn(2, ':');
        let (mut database, mut name) = (parts.next().unwrap_or_default(), parts.next());
        while let ("proxy" | "debug", Some(wrapped)) = (database, name) {
            let mut parts = wrapped.splitn(2, ':');
            database = parts.next().unwrap_or_default();
            name = parts.next();
        }
        match name {
            None => {}
            Some(path) if path.starts_with('/') => self.client(database, path),
            Some(name) if name.starts_with('.') => {}
            Some(name) if name.starts_with('{') => {
                let inside = self.inside(setting, name, row);
                if !matches!(database, "regexp" | "pcre") {
                    self.look(setting, inside, row, depth);
                }
            }
            Some(name) => {
                for suffix in suffixes(database).split_ascii_whitespace() {
                    self.refer(setting, &format!("{name}_{suffix}"), row, true);
                }
            }
        }
    }

    fn client(&mut self, database: &str, path: &str) {
        let client = (database.to_owned(), path.to_owned());
        if !suffixes(database).is_empty() && !self.names.clients.contains(&client) {
            self.names.clients.push(client);
        }
    }

    fn inside<'t>(&mut self, setting: &str, text: &'t str, row: Option<usize>) -> &'t str {
        inside(text).unwrap_or_else(|(why, inside)| {
            let name = setting.to_owned();
            self.names.findings.push(Finding { row, name, text: why, about: About::Braces });
            inside
        })
    }
}
