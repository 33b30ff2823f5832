//! What of main.cf a new message depends on.

use crate::Source;
use config::{Invalid, Values, params as p};
use message::{FullNameForm, HeaderKind, MimeLimits, ScannerLimits, header_kind};

/// The addresses that a mapping applies to (`canonical_classes` and its kin).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a set of four")]
pub struct Classes {
    /// `envelope_sender`
    pub envelope_sender: bool,
    /// `envelope_recipient`
    pub envelope_recipient: bool,
    /// `header_sender`
    pub header_sender: bool,
    /// `header_recipient`
    pub header_recipient: bool,
}

impl Classes {
    fn load(values: &Values, id: p::Id) -> Result<Self, Invalid> {
        let mut classes = Self::default();
        for name in values.list(id) {
            match name.to_ascii_lowercase().as_str() {
                "envelope_sender" => classes.envelope_sender = true,
                "envelope_recipient" => classes.envelope_recipient = true,
                "header_sender" => classes.header_sender = true,
                "header_recipient" => classes.header_recipient = true,
                _ => return Err(Invalid::value(id.name(), name, "unknown address class")),
            }
        }
        Ok(classes)
    }
}

/// The parameters of cleanup(8), by their names.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "one field for each parameter")]
#[allow(missing_docs, reason = "each field is documented in postconf(5) under its name")]
pub struct CleanupSettings {
    pub myhostname: String,
    pub always_add_missing_headers: bool,
    pub always_bcc: String,
    pub canonical_classes: Classes,
    pub canonical_maps: String,
    pub cleanup_replace_stray_cr_lf: bool,
    pub delay_warning_time_seconds: i64,
    pub detect_8bit_encoding_header: bool,
    pub disable_verp_bounces: bool,
    pub duplicate_filter_limit: usize,
    pub enable_long_queue_ids: bool,
    pub enable_original_recipient: bool,
    pub full_name_encoding_charset: String,
    pub header_address_token_limit: usize,
    pub header_from_format: FullNameForm,
    pub hopcount_limit: u32,
    pub line_length_limit: usize,
    pub masquerade_classes: Classes,
    pub masquerade_domains: Vec<Vec<u8>>,
    pub masquerade_exceptions: String,
    pub message_size_limit: u64,
    pub recipient_bcc_maps: String,
    pub recipient_canonical_classes: Classes,
    pub recipient_canonical_maps: String,
    pub remote_header_rewrite_domain: String,
    pub sender_bcc_maps: String,
    pub sender_canonical_classes: Classes,
    pub sender_canonical_maps: String,
    pub smtputf8_enable: bool,
    pub tls_required_enable: bool,
    pub undisclosed_recipients_header: String,
    pub verp_delimiter_filter: String,
    pub virtual_alias_address_length_limit: usize,
    pub virtual_alias_expansion_limit: usize,
    pub virtual_alias_maps: String,
    pub virtual_alias_recursion_limit: usize,
    pub empty_address_recipient: String,
    pub queue_file_attribute_count_limit: usize,
    /// `propagate_unmatched_extensions` has `canonical`.
    pub propagate_canonical: bool,
    /// `propagate_unmatched_extensions` has `virtual`.
    pub propagate_virtual: bool,
    /// `header_size_limit`, and the limits of MIME processing.
    pub scanner: ScannerLimits,
    /// Known headers in `message_drop_headers`, one bit each.
    pub(crate) dropped_kinds: u64,
    /// Other names in `message_drop_headers`, in lower case.
    pub(crate) dropped_names: Vec<Vec<u8>>,
}

impl CleanupSettings {
    /// Reads the parameters.
    pub fn load(values: &Values) -> Result<Self, Invalid> {
        let text = |id| values.text(id).to_owned();
        let size = |id| size(values, id);
        let propagates = |name| has(values, p::propagate_unmatched_extensions, name);
        let (dropped_kinds, dropped_names) = dropped(&values.list(p::message_drop_headers));
        Ok(Self {
            myhostname: text(p::myhostname),
            always_add_missing_headers: values.bool(p::always_add_missing_headers),
            always_bcc: text(p::always_bcc),
            canonical_classes: Classes::load(values, p::canonical_classes)?,
            canonical_maps: text(p::canonical_maps),
            cleanup_replace_stray_cr_lf: values.bool(p::cleanup_replace_stray_cr_lf),
            delay_warning_time_seconds: i64::try_from(values.time(p::delay_warning_time).as_secs())
                .unwrap_or(0),
            detect_8bit_encoding_header: values.bool(p::detect_8bit_encoding_header),
            disable_verp_bounces: values.bool(p::disable_verp_bounces),
            duplicate_filter_limit: size(p::duplicate_filter_limit),
            enable_long_queue_ids: values.bool(p::enable_long_queue_ids),
            enable_original_recipient: values.bool(p::enable_original_recipient),
            full_name_encoding_charset: text(p::full_name_encoding_charset),
            header_address_token_limit: size(p::header_address_token_limit),
            header_from_format: header_from_format(values),
            hopcount_limit: u32::try_from(values.int(p::hopcount_limit)).unwrap_or(50),
            line_length_limit: size(p::line_length_limit).max(1),
            masquerade_classes: Classes::load(values, p::masquerade_classes)?,
            masquerade_domains: values.list(p::masquerade_domains).iter().map(|d| (*d).into()).collect(),
            masquerade_exceptions: text(p::masquerade_exceptions),
            message_size_limit: u64::try_from(values.int(p::message_size_limit)).unwrap_or(0),
            recipient_bcc_maps: text(p::recipient_bcc_maps),
            recipient_canonical_classes: Classes::load(values, p::recipient_canonical_classes)?,
            recipient_canonical_maps: text(p::recipient_canonical_maps),
            remote_header_rewrite_domain: text(p::remote_header_rewrite_domain),
            sender_bcc_maps: text(p::sender_bcc_maps),
            sender_canonical_classes: Classes::load(values, p::sender_canonical_classes)?,
            sender_canonical_maps: text(p::sender_canonical_maps),
            smtputf8_enable: values.bool(p::smtputf8_enable),
            tls_required_enable: values.bool(p::tls_required_enable),
            undisclosed_recipients_header: text(p::undisclosed_recipients_header),
            verp_delimiter_filter: text(p::verp_delimiter_filter),
            virtual_alias_address_length_limit: size(p::virtual_alias_address_length_limit),
            virtual_alias_expansion_limit: size(p::virtual_alias_expansion_limit),
            virtual_alias_maps: text(p::virtual_alias_maps),
            virtual_alias_recursion_limit: size(p::virtual_alias_recursion_limit),
            empty_address_recipient: text(p::empty_address_recipient),
            queue_file_attribute_count_limit: size(p::queue_file_attribute_count_limit),
            propagate_canonical: propagates("canonical"),
            propagate_virtual: propagates("virtual"),
            scanner: scanner(values),
            dropped_kinds,
            dropped_names,
        })
    }

    pub(crate) fn is_dropped(&self, kind: HeaderKind) -> bool {
        self.dropped_kinds & kind.bit() != 0
    }
}

/// Parameters of whoever gives a message to cleanup, by their names: of the smtpd(8), pickup(8), local(8) or bounce(8) row.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each field is documented in postconf(5) under its name")]
pub struct ClientSettings {
    pub content_filter: String,
    pub mail_name: String,
    pub myhostname: String,
    pub smtpd_hide_client_session: bool,
    /// `receive_override_options` has no `no_address_mappings`.
    pub maps_addresses: bool,
    smtputf8_autodetect_classes: Vec<String>,
}

impl ClientSettings {
    /// Reads the parameters.
    #[must_use]
    pub fn load(values: &Values) -> Self {
        let classes = values.list(p::smtputf8_autodetect_classes);
        Self {
            content_filter: values.text(p::content_filter).to_owned(),
            mail_name: values.text(p::mail_name).to_owned(),
            myhostname: values.text(p::myhostname).to_owned(),
            smtpd_hide_client_session: values.bool(p::smtpd_hide_client_session),
            maps_addresses: !has(values, p::receive_override_options, "no_address_mappings"),
            smtputf8_autodetect_classes: classes.iter().map(|class| class.to_ascii_lowercase()).collect(),
        }
    }

    /// Whether addresses of a message of this source are mapped. Mail of our own is not received, so nothing overrides
    /// that.
    pub(crate) fn maps_addresses_of(&self, source: Source) -> bool {
        self.maps_addresses
            || matches!(source, Source::Forward | Source::Bounce | Source::Notify | Source::Verify)
    }

    /// Whether addresses and headers in UTF-8 make a message of this source a SMTPUTF8 message.
    pub(crate) fn detects_smtputf8(&self, source: Source) -> bool {
        let class = match source {
            Source::Smtpd => "smtpd",
            Source::Qmqpd => "qmqpd",
            Source::Pickup => "sendmail",
            Source::Forward => "forward",
            Source::Bounce => "bounce",
            Source::Notify => "notify",
            Source::Verify => "verify",
        };
        self.smtputf8_autodetect_classes.iter().any(|name| name == class || name == "all")
    }
}

fn size(values: &Values, id: p::Id) -> usize {
    usize::try_from(values.int(id)).unwrap_or(0)
}

fn has(values: &Values, id: p::Id, name: &str) -> bool {
    values.list(id).iter().any(|item| item.eq_ignore_ascii_case(name))
}

fn header_from_format(values: &Values) -> FullNameForm {
    match values.text(p::header_from_format) {
        format if format.eq_ignore_ascii_case("obsolete") => FullNameForm::Obsolete,
        _ => FullNameForm::Standard,
    }
}

fn scanner(values: &Values) -> ScannerLimits {
    let mime = MimeLimits {
        mime_nesting_limit: size(values, p::mime_nesting_limit),
        mime_boundary_length_limit: size(values, p::mime_boundary_length_limit),
    };
    ScannerLimits {
        header_size_limit: size(values, p::header_size_limit),
        mime: (!values.bool(p::disable_mime_input_processing)).then_some(mime),
    }
}

fn dropped(names: &[&str]) -> (u64, Vec<Vec<u8>>) {
    let (mut kinds, mut others) = (0, Vec::new());
    for name in names {
        match header_kind(name.as_bytes()) {
            Some(kind) => kinds |= kind.bit(),
            None => others.push(name.to_ascii_lowercase().into_bytes()),
        }
    }
    (kinds, others)
}
