//! Name servers, and what goes wrong with them.

use crate::{Chance, Datagram, SimStream, SimWorld};
use dns::testing::Zone;
use std::{cell::Cell, net::SocketAddr, rc::Rc, time::Duration};
use world::{Endpoint, Stream};

/// A name server that all hosts can ask.
pub struct Names {
    zone: Zone,
    /// One in so many questions is answered badly; 0 for none.
    trouble_one_in: Cell<usize>,
    /// One in so many answers comes late, or too late; 0 for none.
    late_one_in: Cell<usize>,
}

/// No answer is later than this: some resolvers still wait then, and others do not.
const LATENESS_MAX: Duration = Duration::from_secs(6);
/// What is said about names below this one differs from question to question.
const FICKLE: &[u8] = b"fickle";

impl Names {
    /// Serves a zone (the text of [`dns::testing`]) at an address, over UDP and TCP.
    pub fn serve(world: &SimWorld, at: SocketAddr, zone: &str) -> Rc<Self> {
        let names = Rc::new(Self {
            zone: Zone::parse(zone),
            trouble_one_in: Cell::new(0),
            late_one_in: Cell::new(0),
        });
        let (server, asked) = (Rc::clone(&names), world.clone());
        world.serve_names(move |_, query| asked.chance(|chance| server.delayed(query, chance)));
        let serving = Rc::clone(&names);
        world.serve(Endpoint::Inet(at), move |stream| {
            let server = Rc::clone(&serving);
            async move { server.serve_stream(stream).await }
        });
        names
    }

    /// From now on one in so many questions is answered badly; 0 for none.
    pub fn set_trouble(&self, one_in: usize) {
        self.trouble_one_in.set(one_in);
    }

    /// From now on one in so many answers comes late; 0 for none.
    pub fn set_lateness(&self, one_in: usize) {
        self.late_one_in.set(one_in);
    }

    fn delayed(&self, query: &[u8], chance: &mut Chance) -> Vec<Datagram> {
        let mut answers = self.datagrams(query, chance);
        if query.windows(FICKLE.len()).any(|window| window == FICKLE) && chance.one_in(2) {
            // NXDOMAIN
            let codes = answers.iter_mut().filter_map(|answer| answer.get_mut(3));
            codes.for_each(|byte| *byte = *byte & 0xf0 | 3);
        }
        let late_one_in = self.late_one_in.get();
        let is_late = late_one_in > 0 && chance.one_in(late_one_in);
        let after = if is_late {
            LATENESS_MAX * u32::try_from(chance.below(256)).unwrap_or(0) / 255
        } else {
            Duration::ZERO
        };
        answers.into_iter().map(|bytes| Datagram { after, bytes }).collect()
    }

    /// What comes back for a query. Lies that a resolver cannot see through are not among it.
    fn datagrams(&self, query: &[u8], chance: &mut Chance) -> Vec<Vec<u8>> {
        let Some(answer) = self.zone.answer(query, true) else { return Vec::new() };
        let one_in = self.trouble_one_in.get();
        if one_in == 0 || !chance.one_in(one_in) {
            return vec![answer];
        }
        let changed = |at: usize, change: fn(u8) -> u8| {
            let mut answer = answer.clone();
            answer.get_mut(at).into_iter().for_each(|byte| *byte = change(*byte));
            answer
        };
        match chance.below(6) {
            0 => Vec::new(),
            // SERVFAIL, without its records being believed.
            1 => vec![changed(3, |byte| byte & 0xf0 | 2)],
            // Truncated: ask by TCP.
            2 => vec![changed(2, |byte| byte | 2)],
            // The identifier of another question, before the answer, and alone.
            3 => vec![changed(0, |byte| byte ^ 0x55), answer],
            4 => vec![changed(1, |byte| byte ^ 0x55)],
            _ => vec![answer.get(..12 + chance.below(answer.len())).unwrap_or(&answer).to_vec()],
        }
    }

    async fn serve_stream(&self, mut stream: SimStream) -> std::io::Result<()> {
        let mut input = Vec::new();
        loop {
            let mut buffer = [0; 512];
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            input.extend_from_slice(&buffer[..count]);
            let [high, low, query @ ..] = &input[..] else { continue };
            if query.len() < usize::from(u16::from_be_bytes([*high, *low])) {
                continue;
            }
            let Some(answer) = self.zone.answer(query, false) else { return Ok(()) };
            let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
            stream.write_all(&[&length.to_be_bytes(), &answer[..]].concat()).await?;
            input.clear();
        }
    }
}
