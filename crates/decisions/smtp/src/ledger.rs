//! What becomes of each recipient of a request over the course of several servers (Postfix: `smtp_trouble`).

use bstr::ByteSlice;
use maillog::{Logger, Severity};
use std::time::Duration;
use types::{
    DeliveryReport, DeliveryRequest, Dsn, DsnClass, Outcome, RecipientReport, Relay, Status, SuccessAction,
    Timing,
};
use wire::ServerReply;

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One recipient.
    Recipient,
    /// All recipients that are left, for this message only.
    Message,
    /// All recipients, and the server is of no use for other messages either.
    Site,
}

/// Something went wrong with a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Code and reason.
    pub status: Status,
    /// How far it reaches.
    pub scope: Scope,
    /// Final only if no other server can do better (`SMTPUTF8` missing here may be there).
    pub is_soft_before_last: bool,
}

impl Failure {
    /// A failure that we found ourselves.
    pub fn local(scope: Scope, dsn: Dsn, reason: impl Into<Vec<u8>>) -> Self {
        Self { status: Status::new(dsn, reason), scope, is_soft_before_last: false }
    }

    /// A failure that the server `host` reported; a reply that fits nowhere is an error of protocol.
    #[must_use]
    pub fn replied(scope: Scope, host: &str, reply: &ServerReply, reason: Vec<u8>) -> Self {
        let (dsn, reason) = match reply.dsn.class {
            DsnClass::Success => (Dsn::permanent(5, 0), [b"Protocol error: ", reason.as_slice()].concat()),
            _ => (reply.dsn, reason),
        };
        let mut status = Status::new(dsn, reason);
        status.remote_mta = Some(format!("dns; {host}"));
        status.diagnostic = Some(("smtp".to_owned(), reply.one_line()));
        Self { status, scope, is_soft_before_last: false }
    }
}

/// Points in time of a delivery, as spans since the request was handed to us.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// When MAIL was first sent.
    pub(crate) connected: Option<Duration>,
    /// Now.
    pub(crate) now: Duration,
}

/// The recipients of one request: who is left, and the reports on the others.
pub(crate) struct Ledger<'a> {
    request: &'a DeliveryRequest,
    logger: &'a Logger,
    soft_bounce: bool,
    /// Indices of recipients without a final word.
    left: Vec<usize>,
    report: DeliveryReport,
    /// No other server will be tried.
    pub(crate) is_last_server: bool,
    /// Some server took part in a whole transaction: the destination is not dead.
    pub(crate) had_session: bool,
    /// What success with the server at hand means.
    pub(crate) success: SuccessAction,
    /// How many messages the connection has carried that failures and successes come from now.
    pub(crate) connection_uses: u32,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(request: &'a DeliveryRequest, logger: &'a Logger, soft_bounce: bool) -> Self {
        Self {
            request,
            logger,
            soft_bounce,
            left: (0..request.recipients.len()).collect(),
            report: DeliveryReport::default(),
            is_last_server: false,
            had_session: false,
            success: SuccessAction::Relayed,
            connection_uses: 0,
        }
    }

    pub(crate) fn left(&self) -> &[usize] {
        &self.left
    }

    /// The queue file's content is damaged.
    pub(crate) fn set_corrupt(&mut self) {
        self.report.is_corrupt = true;
    }

    pub(crate) fn into_report(self) -> DeliveryReport {
        self.report
    }

    /// The server took the message for this recipient.
    pub(crate) fn sent(
        &mut self,
        index: usize,
        host: &str,
        reply: &ServerReply,
        relay: &Relay,
        clock: Clock,
    ) {
        self.left.retain(|&left| left != index);
        let report = self.report_of_taken(index, host, reply, relay, clock);
        self.report.recipients.push(report);
    }

    /// What is reported of a recipient whom the server has taken the message for.
    pub(crate) fn report_of_taken(
        &self,
        index: usize,
        host: &str,
        reply: &ServerReply,
        relay: &Relay,
        clock: Clock,
    ) -> RecipientReport {
        let text = reply.one_line();
        let mut status = Status::new(reply.dsn, text.as_slice());
        status.remote_mta = Some(format!("dns; {host}"));
        status.diagnostic = Some(("smtp".to_owned(), text));
        self.report_on(index, Outcome::Sent, status, relay, clock)
    }

    /// The reports on those who have the message, but for some.
    pub(crate) fn sent_besides(&self, known: &[usize]) -> Vec<RecipientReport> {
        let reports = self.report.recipients.iter();
        let is_news =
            |report: &&RecipientReport| report.outcome == Outcome::Sent && !known.contains(&report.index);
        reports.filter(is_news).cloned().collect()
    }

    /// Applies a failure to `whom`: keeps them for the next server if the failure is worth another try there, or gives
    /// the final word.
    pub(crate) fn fail(&mut self, whom: &[usize], failure: &Failure, relay: &Relay, clock: Clock) {
        let class = failure.status.dsn.class;
        let is_soft = class == DsnClass::Temporary || (failure.is_soft_before_last && !self.is_last_server);
        if (is_soft || self.soft_bounce) && !self.is_last_server {
            let reason = failure.status.reason.to_str_lossy();
            self.logger.write(Severity::Info, &format!("{}: {reason}", self.request.queue_id));
            return;
        }
        let outcome = if is_soft { Outcome::Deferred } else { Outcome::Bounced };
        let mut status = failure.status.clone();
        if is_soft {
            status.dsn = status.dsn.with_class(DsnClass::Temporary);
        }
        for &index in whom {
            self.left.retain(|&left| left != index);
            let report = self.report_on(index, outcome, status.clone(), relay, clock);
            self.report.recipients.push(report);
        }
        let counts = is_soft || self.soft_bounce;
        if failure.scope == Scope::Site && counts && !self.had_session {
            status.dsn = status.dsn.with_class(DsnClass::Temporary);
            self.report.destination_unavailable.get_or_insert(status);
        }
    }

    fn report_on(
        &self,
        index: usize,
        outcome: Outcome,
        status: Status,
        relay: &Relay,
        clock: Clock,
    ) -> RecipientReport {
        let request = self.request;
        // A failure before MAIL: all of the time went into connecting.
        let connection = clock.connected.unwrap_or(clock.now);
        let timing = Timing {
            before_active: request.active_since.since(request.message.arrival),
            in_queue_manager: request.agent_since.since(request.active_since),
            connection,
            transmission: clock.now.saturating_sub(connection),
        };
        let report = RecipientReport::new(index, outcome, status, relay.clone(), timing);
        RecipientReport { connection_uses: self.connection_uses, success: self.success, ..report }
    }
}
