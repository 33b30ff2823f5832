//! Mail that comes by QMQP.

use crate::Cleanup;
use message::{QuoteOptions, mail_date, quote_822_local};
use queue_format::RecordType;
use std::net::IpAddr;
use types::Address;

/// The client of a QMQP session, as far as the queue file remembers it.
#[derive(Clone, Copy, Debug)]
pub struct QmqpClient<'a> {
    /// Verified host name, or `unknown`.
    pub name: &'a str,
    /// Address; of a client that is not on the network, one of loopback.
    pub address: IpAddr,
    /// It came over a UNIX-domain socket.
    pub is_local: bool,
    /// The same as it stands in headers (RFC 5321 section 4.1.3).
    pub rfc_address: &'a str,
    /// Port.
    pub port: &'a str,
    /// `name[address]`, as log lines have it.
    pub origin: &'a str,
}

const PROTOCOL: &str = "QMQP";

impl Cleanup {
    /// The beginning of a message from a QMQP client, up to its sender. `verp` are the delimiters where each recipient is to
    /// have a sender address of its own.
    pub async fn open_qmqp(&mut self, client: &QmqpClient<'_>, sender: &Address, verp: Option<&[u8]>) {
        self.arrival(self.start.arrival);
        let content_filter = self.start.client.content_filter.clone();
        if !content_filter.is_empty() {
            self.out.record(RecordType::FILTER, content_filter.as_bytes());
        }
        self.sender(sender.as_bytes()).await;
        if let Some(delimiters) = verp {
            self.verp(delimiters);
        }
        let address = client.address.to_string();
        // As Linux numbers the families of addresses, and so every queue file on Linux.
        let family = match client.address {
            _ if client.is_local => "0",
            IpAddr::V4(_) => "2",
            IpAddr::V6(_) => "10",
        };
        for (name, value) in [
            ("log_client_name", client.name),
            ("log_client_address", client.rfc_address),
            ("log_client_port", client.port),
            ("log_message_origin", client.origin),
            ("log_protocol_name", PROTOCOL),
            ("client_name", client.name),
            ("client_address", &address),
            ("client_port", client.port),
            ("client_address_type", family),
            ("protocol_name", PROTOCOL),
        ] {
            self.attribute(name, value.as_bytes());
        }
    }

    /// The envelope is complete: writes the Received: header. `sole_recipient` is named when there is only one.
    pub fn begin_qmqp_content(&mut self, client: &QmqpClient<'_>, sole_recipient: Option<&Address>) {
        self.begin_content();
        let (settings, id) = (&self.start.client, self.start.id);
        let date = mail_date(self.start.arrival, &self.start.zone);
        let QmqpClient { name, rfc_address, .. } = client;
        let from = format!("Received: from {name} ({name} [{rfc_address}])");
        let by = format!("\tby {} ({}) with {PROTOCOL}", settings.myhostname, settings.mail_name);
        let header = match sole_recipient {
            Some(recipient) => {
                let quoted = quote_822_local(recipient.as_bytes(), QuoteOptions::default());
                let start = format!("{from}\n{by} id {id}\n\tfor <").into_bytes();
                [&start[..], &*quoted, b">; ", date.as_bytes()].concat()
            }
            None => format!("{from}\n{by}\n\tid {id}; {date}").into_bytes(),
        };
        self.received_header(&header);
    }
}
