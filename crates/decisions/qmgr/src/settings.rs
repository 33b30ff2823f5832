//! Typed view of the parameters that qmgr(8) reads.

use std::{collections::HashMap, time::Duration};

use config::{Values, params as p};

/// How a delivery's result changes a destination's concurrency (postconf(5)
/// default_destination_concurrency_positive_feedback): `1`, `1/5`, `1/concurrency`, `1/sqrt_concurrency`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feedback {
    base: f64,
    divisor: Divisor,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Divisor {
    One,
    Concurrency,
    SquareRoot,
}

impl Feedback {
    /// Reads a setting; `None` if it is malformed or not within 0 to 1.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (base, divisor) = config::feedback(text)?;
        let divisor = match divisor {
            None => Divisor::One,
            Some("concurrency") => Divisor::Concurrency,
            Some(_) => Divisor::SquareRoot,
        };
        Some(Self { base, divisor })
    }

    /// The change for one result at this concurrency.
    #[must_use]
    pub fn value(self, concurrency: u32) -> f64 {
        let concurrency = f64::from(concurrency.max(1));
        match self.divisor {
            Divisor::One => self.base,
            Divisor::Concurrency => self.base / concurrency,
            Divisor::SquareRoot => self.base / concurrency.sqrt(),
        }
    }
}

/// The parameters of one transport. Zero means "no limit" where postconf(5) says so.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each field is the parameter default_NAME or TRANSPORT_NAME of postconf(5)")]
pub struct TransportSettings {
    pub destination_concurrency_limit: u32,
    pub destination_recipient_limit: usize,
    pub initial_destination_concurrency: u32,
    pub destination_concurrency_positive_feedback: Feedback,
    pub destination_concurrency_negative_feedback: Feedback,
    pub destination_concurrency_failed_cohort_limit: u32,
    pub destination_rate_delay: Duration,
    pub transport_rate_delay: Duration,
    pub delivery_slot_cost: i64,
    pub delivery_slot_loan: i64,
    pub delivery_slot_discount: i64,
    pub minimum_delivery_slots: i64,
    pub recipient_limit: i64,
    pub extra_recipient_limit: i64,
    pub recipient_refill_limit: i64,
    pub recipient_refill_delay: Duration,
    /// Deliveries at the same time (maxproc of the master.cf row); `None` for no limit.
    pub process_limit: Option<u32>,
}

/// The parameters of the queue manager.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each field is the parameter of the same name of postconf(5)")]
pub struct SchedulerSettings {
    pub qmgr_message_active_limit: usize,
    pub address_verify_pending_request_limit: usize,
    pub address_verify_negative_cache: bool,
    pub qmgr_message_recipient_limit: i64,
    pub qmgr_message_recipient_minimum: i64,
    pub queue_run_delay: Duration,
    pub minimal_backoff_time: Duration,
    pub maximal_backoff_time: Duration,
    pub maximal_queue_lifetime: Duration,
    pub bounce_queue_lifetime: Duration,
    pub transport_retry_time: Duration,
    pub qmgr_clog_warn_time: Duration,
    pub helpful_warnings: bool,
    pub soft_bounce: bool,
    pub smtputf8_enable: bool,
    pub disable_verp_bounces: bool,
    pub verp_delimiter_filter: String,
    pub confirm_delay_cleared: bool,
    pub delay_logging_resolution_limit: u8,
    pub defer_transports: Vec<String>,
    pub recipient_delimiter: String,
    pub double_bounce_sender: String,
    pub default_filter_nexthop: String,
    pub myhostname: String,
    values: Values,
    process_limits: HashMap<String, Option<u32>>,
}

impl SchedulerSettings {
    /// `values` are those of the `qmgr` row; `process_limits` the maxproc of each service of master.cf (0: no limit).
    #[must_use]
    pub fn load(values: &Values, process_limits: impl IntoIterator<Item = (String, u32)>) -> Self {
        let active = usize_of(values.int(p::qmgr_message_active_limit)).max(1);
        let lifetime = values.time(p::maximal_queue_lifetime);
        Self {
            qmgr_message_active_limit: active,
            address_verify_pending_request_limit: usize_of(
                values.int(p::address_verify_pending_request_limit),
            ),
            address_verify_negative_cache: values.bool(p::address_verify_negative_cache),
            qmgr_message_recipient_limit: values
                .int(p::qmgr_message_recipient_limit)
                .max(i64::try_from(active).unwrap_or(i64::MAX)),
            qmgr_message_recipient_minimum: values.int(p::qmgr_message_recipient_minimum).max(1),
            queue_run_delay: values.time(p::queue_run_delay).max(Duration::from_secs(1)),
            minimal_backoff_time: values.time(p::minimal_backoff_time).max(Duration::from_secs(1)),
            maximal_backoff_time: values.time(p::maximal_backoff_time).max(Duration::from_secs(1)),
            maximal_queue_lifetime: lifetime,
            bounce_queue_lifetime: values.time(p::bounce_queue_lifetime).min(lifetime),
            transport_retry_time: values.time(p::transport_retry_time).max(Duration::from_secs(1)),
            qmgr_clog_warn_time: values.time(p::qmgr_clog_warn_time),
            helpful_warnings: values.bool(p::helpful_warnings),
            soft_bounce: values.bool(p::soft_bounce),
            smtputf8_enable: values.bool(p::smtputf8_enable),
            disable_verp_bounces: values.bool(p::disable_verp_bounces),
            verp_delimiter_filter: values.text(p::verp_delimiter_filter).to_owned(),
            confirm_delay_cleared: values.bool(p::confirm_delay_cleared),
            delay_logging_resolution_limit: u8::try_from(values.int(p::delay_logging_resolution_limit))
                .unwrap_or(2),
            defer_transports: values.list(p::defer_transports).into_iter().map(str::to_owned).collect(),
            recipient_delimiter: values.text(p::recipient_delimiter).to_owned(),
            double_bounce_sender: values.text(p::double_bounce_sender).to_owned(),
            default_filter_nexthop: values.text(p::default_filter_nexthop).to_owned(),
            myhostname: values.text(p::myhostname).to_owned(),
            values: values.clone(),
            process_limits: process_limits
                .into_iter()
                .map(|(name, limit)| (name, (limit > 0).then_some(limit)))
                .collect(),
        }
    }

    /// The parameters of a transport: `NAME_destination_concurrency_limit` or else `default_destination_concurrency_limit`
    /// and so on.
    #[must_use]
    pub fn transport(&self, name: &str) -> TransportSettings {
        let values = &self.values;
        let int =
            |suffix: &str, default| values.named_int(&format!("{name}_{suffix}"), values.int(default)).max(0);
        let time =
            |suffix: &str, default| values.named_time(&format!("{name}_{suffix}"), values.time(default), 's');
        let feedback = |suffix: &str, default| {
            values
                .named(&format!("{name}_{suffix}"))
                .and_then(Feedback::parse)
                .or_else(|| Feedback::parse(values.text(default)))
                .unwrap_or(Feedback { base: 1.0, divisor: Divisor::One })
        };
        let rate_delay = time("destination_rate_delay", p::default_destination_rate_delay);
        let mut concurrency =
            u32_of(int("destination_concurrency_limit", p::default_destination_concurrency_limit));
        if !rate_delay.is_zero() {
            concurrency = 1;
        }
        let mut initial =
            u32_of(int("initial_destination_concurrency", p::initial_destination_concurrency)).max(1);
        if concurrency != 0 {
            initial = initial.min(concurrency);
        }
        TransportSettings {
            destination_concurrency_limit: concurrency,
            destination_recipient_limit: usize_of(int(
                "destination_recipient_limit",
                p::default_destination_recipient_limit,
            )),
            initial_destination_concurrency: initial,
            destination_concurrency_positive_feedback: feedback(
                "destination_concurrency_positive_feedback",
                p::default_destination_concurrency_positive_feedback,
            ),
            destination_concurrency_negative_feedback: feedback(
                "destination_concurrency_negative_feedback",
                p::default_destination_concurrency_negative_feedback,
            ),
            destination_concurrency_failed_cohort_limit: u32_of(int(
                "destination_concurrency_failed_cohort_limit",
                p::default_destination_concurrency_failed_cohort_limit,
            )),
            destination_rate_delay: rate_delay,
            transport_rate_delay: time("transport_rate_delay", p::default_transport_rate_delay),
            delivery_slot_cost: int("delivery_slot_cost", p::default_delivery_slot_cost),
            delivery_slot_loan: int("delivery_slot_loan", p::default_delivery_slot_loan),
            delivery_slot_discount: int("delivery_slot_discount", p::default_delivery_slot_discount).min(100),
            minimum_delivery_slots: int("minimum_delivery_slots", p::default_minimum_delivery_slots),
            recipient_limit: int("recipient_limit", p::default_recipient_limit),
            extra_recipient_limit: int("extra_recipient_limit", p::default_extra_recipient_limit),
            recipient_refill_limit: int("recipient_refill_limit", p::default_recipient_refill_limit).max(1),
            recipient_refill_delay: time("recipient_refill_delay", p::default_recipient_refill_delay)
                .max(Duration::from_secs(1)),
            process_limit: self.process_limits.get(name).copied().flatten(),
        }
    }
}

fn usize_of(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

fn u32_of(n: i64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
