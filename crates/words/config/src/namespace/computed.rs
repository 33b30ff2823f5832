//! Defaults that postconf(1) makes from the host and from what main.cf *says*: other than the daemons, it does not look at defaults of
//! names that a value refers to.

use std::{cell::RefCell, collections::BTreeMap};

use crate::{
    environment::{Environment, Protocols, names_to_resolve, network},
    expand::{self, Options},
    main_cf::MainCf,
    text::Tokens,
};

/// What only the host knows; it is asked only when it matters.
pub trait Host {
    /// What `gethostname` says.
    fn hostname(&self) -> String;
    /// The host's interfaces, and the addresses of these names.
    fn environment(&self, names: Vec<String>) -> Environment;
}

/// What was made.
#[derive(Debug, Default)]
pub(super) struct Computed {
    /// The defaults of parameters that main.cf does not set.
    pub(super) made: BTreeMap<&'static str, String>,
    pub(super) warnings: Vec<String>,
    /// Why postconf would go no further.
    pub(super) fatal: Option<String>,
}

impl Computed {
    /// Makes the computed defaults, or says in Postfix's words why there are none.
    pub(super) fn of(main: &MainCf, host: &dyn Host) -> Self {
        let mut computed = Self::default();
        let main = Explicit { main, warnings: RefCell::default() };
        computed.fatal = computed.make(&main, host).err();
        computed.warnings.splice(0..0, main.warnings.into_inner());
        computed
    }

    fn make(&mut self, main: &Explicit<'_>, host: &dyn Host) -> Result<(), String> {
        if main.main.get("myhostname").is_none() {
            self.made.insert("myhostname", main.hostname(host)?);
        }
        if main.main.get("mydomain").is_none() {
            let name = match main.value("myhostname")? {
                Some(name) => name,
                None => main.hostname(host)?,
            };
            let domain = name.split_once('.').map_or("localdomain", |(_, domain)| domain);
            self.made.insert("mydomain", domain.to_owned());
        }
        if main.main.get("mynetworks").is_none() {
            let networks = self.networks(main, host)?;
            self.made.insert("mynetworks", networks);
        }
        Ok(())
    }

    fn networks(&mut self, main: &Explicit<'_>, host: &dyn Host) -> Result<String, String> {
        let or_all = |value: Option<String>| value.unwrap_or_else(|| "all".to_owned());
        let interfaces = or_all(main.value("inet_interfaces")?);
        let style = match main.value("mynetworks_style")? {
            Some(style) => style,
            None => main.style()?,
        };
        let protocols = or_all(main.value("inet_protocols")?);
        let wanted = wanted(&protocols)?;
        let names = if wanted.are_none() { "" } else { &interfaces };
        let environment = host.environment(names_to_resolve(names).map(str::to_owned).collect());
        let protocols = environment.protocols(&protocols);
        if wanted.ipv6 && !protocols.ipv6 {
            self.warnings.push(
                "inet_protocols: disabling IPv6 name/address support: Address family not supported by protocol"
                    .to_owned(),
            );
        }
        if protocols.are_none() {
            return Ok(String::new());
        }
        let style = one_style(&style)?;
        let mut networks: Vec<String> = Vec::new();
        for interface in environment.own_interfaces(protocols, &interfaces)? {
            let network = network(interface, style);
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
        Ok(networks.into_iter().map(|network| network + " ").collect())
    }
}

/// Settings of main.cf as they are expanded without anybody's defaults.
struct Explicit<'a> {
    main: &'a MainCf,
    warnings: RefCell<Vec<String>>,
}

impl Explicit<'_> {
    fn value(&self, name: &str) -> Result<Option<String>, String> {
        self.main.get(name).map(|entry| self.expanded(&entry.value)).transpose()
    }

    fn expanded(&self, value: &str) -> Result<String, String> {
        let lookup = |name: &str| self.main.get(name).map(|entry| entry.value.clone());
        let expansion = expand::expand(value, Options { recurse: true, ..Options::default() }, &lookup);
        self.warnings.borrow_mut().extend(expansion.warnings);
        if expansion.error {
            return Err("dictionary mail_dict: macro processing error".to_owned());
        }
        Ok(expansion.text)
    }

    fn hostname(&self, host: &dyn Host) -> Result<String, String> {
        let name = host.hostname();
        if name.contains('.') {
            return Ok(name);
        }
        let domain = self.value("mydomain")?;
        Ok(format!("{name}.{}", domain.as_deref().unwrap_or("localdomain")))
    }

    /// The default of mynetworks_style depends on the compatibility level, with its default.
    fn style(&self) -> Result<String, String> {
        let default = crate::params::mynetworks_style.row().default;
        let lookup = |name: &str| match self.main.get(name) {
            Some(entry) => Some(entry.value.clone()),
            None => crate::params::by_spelling(name).map(|id| id.row().default.to_owned()),
        };
        let expansion = expand::expand(default, Options { recurse: true, ..Options::default() }, &lookup);
        self.warnings.borrow_mut().extend(expansion.warnings);
        if expansion.error { Err("macro processing error".to_owned()) } else { Ok(expansion.text) }
    }
}

/// What inet_protocols asks for.
fn wanted(text: &str) -> Result<Protocols, String> {
    let mut protocols = Protocols { ipv4: false, ipv6: false };
    for word in (Tokens { rest: text, separators: b", \t\r\n", braces: false }) {
        match word {
            "all" => protocols = Protocols { ipv4: true, ipv6: true },
            "ipv4" => protocols.ipv4 = true,
            "ipv6" => protocols.ipv6 = true,
            _ => return Err(format!("unknown inet_protocols value \"{word}\" in \"{text}\"")),
        }
    }
    Ok(protocols)
}

/// The word of mynetworks_style.
fn one_style(text: &str) -> Result<&str, String> {
    let mut styles: Vec<&str> = Vec::new();
    for word in (Tokens { rest: text, separators: b", \t\r\n", braces: false }) {
        if !matches!(word, "class" | "subnet" | "host") {
            return Err(format!("unknown mynetworks mask style value \"{word}\" in \"{text}\""));
        }
        if !styles.contains(&word) {
            styles.push(word);
        }
    }
    match styles.as_slice() {
        [one] => Ok(one),
        _ => Err(format!("bad mynetworks_style value: {text}; specify exactly one value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interface;

    struct TestHost;

    impl Host for TestHost {
        fn hostname(&self) -> String {
            "mx".to_owned()
        }

        fn environment(&self, names: Vec<String>) -> Environment {
            assert!(names.iter().all(|name| name == "x.test"), "{names:?}");
            let interface = |(address, prefix): (&str, u8)| Interface {
                address: address.parse().unwrap(),
                prefix,
                number: 1,
            };
            let own = [("127.0.0.1", 8), ("192.0.2.77", 25), ("::1", 128), ("2001:db8::1", 64)];
            Environment { interfaces: own.map(interface).to_vec(), ..Environment::for_tests() }
        }
    }

    fn made(text: &str) -> Result<BTreeMap<&'static str, String>, String> {
        let main = MainCf::parse("main.cf", text.as_bytes()).unwrap();
        let computed = Computed::of(&main, &TestHost);
        computed.fatal.map_or(Ok(computed.made), Err)
    }

    #[test]
    fn own_names_follow_what_is_said() {
        let check = |text: &str, hostname: &str, domain: &str| {
            let made = made(&format!("mynetworks =\n{text}")).unwrap();
            let shown = |name: &str| made.get(name).cloned().unwrap_or_default();
            assert_eq!(
                (shown("myhostname").as_str(), shown("mydomain").as_str()),
                (hostname, domain),
                "{text}"
            );
        };
        check("", "mx.localdomain", "localdomain");
        check("mydomain = a.test", "mx.a.test", "");
        check("myhostname = host.b.test", "", "b.test");
        check("myhostname = host", "", "localdomain");
        // Of names without setting, defaults do not count.
        check("myhostname = x.$smtp_helo_name", "", "");
    }

    #[test]
    fn own_networks_are_made_or_it_is_said_why_not() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let networks = made(text).map(|made| made["mynetworks"].clone());
            assert_eq!(networks.as_deref().map_err(String::as_str), expected, "{text}");
        };
        check("compatibility_level = 3.6", Ok("127.0.0.1/32 192.0.2.77/32 [::1]/128 [2001:db8::1]/128 "));
        check("mynetworks_style = subnet", Ok("127.0.0.0/8 192.0.2.0/25 [::1]/128 [2001:db8::]/64 "));
        check("mynetworks_style = class\ninet_protocols = ipv4", Ok("127.0.0.0/8 192.0.2.0/24 "));
        check("mynetworks_style = host\ninet_interfaces = loopback-only", Ok("127.0.0.1/32 [::1]/128 "));
        check("mynetworks_style = host\ninet_interfaces = [::1], 192.0.2.77", Ok("192.0.2.77/32 [::1]/128 "));
        check("mynetworks_style = host\ninet_interfaces = $myorigin", Ok(""));
        check("inet_protocols = \nmynetworks_style = wrong", Ok(""));
        check("inet_protocols = ipv5", Err("unknown inet_protocols value \"ipv5\" in \"ipv5\""));
        check("mynetworks_style = HOST", Err("unknown mynetworks mask style value \"HOST\" in \"HOST\""));
        check(
            "mynetworks_style = host, class",
            Err("bad mynetworks_style value: host, class; specify exactly one value"),
        );
        check("inet_interfaces = x.test", Err("config variable inet_interfaces: host not found: x.test"));
        check(
            "inet_interfaces = 192.0.2.1",
            Err("parameter inet_interfaces: no local interface found for 192.0.2.1"),
        );
        check("inet_interfaces = ${", Err("dictionary mail_dict: macro processing error"));
    }
}
