//! One connection: does what the session asks for.

use super::{Postscreen, lists::Lookup, unread::Unread};
use crate::{
    accepting::{Ends, stranger},
    service::SmtpService,
    session,
};
use maillog::Logger;
use postscreen::{Course, Moment, Session};
use process::first;
use smtpd::Peer;
use std::{future::pending, io, rc::Rc, time::Duration};
use types::Instant;
use world::{Stream, World};

/// How long a client may take to hear a reply; Postfix does not wait at all.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// How long a connection counts as waiting for smtpd; it waits on all the same, as long as no more than
/// `postscreen_post_queue_limit` do so.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(100);

/// Bytes that are read at once after the greeting.
const CHUNK: usize = 4096;

/// What ends a wait.
enum Heard {
    Bytes(Vec<u8>),
    HangUp,
    Lists,
    /// Nothing after all.
    Nothing,
    Late,
}

impl<W: World> Postscreen<W> {
    fn moment(&self) -> Moment {
        Moment { now: self.shared.world.now(), wall: self.shared.world.wall() }
    }

    /// Asks the proxy before us, where there is one, who the client is.
    pub(super) async fn serve_upstream(self: Rc<Self>, mut stream: W::Stream, own: Ends, log: Logger) {
        let ends = match &self.upstream_proxy {
            None => Some(own),
            Some(proxy) => Box::pin(proxy.ends(&self.shared.world, &mut stream, (own, &log))).await,
        };
        match ends {
            Some(ends) => self.serve(stream, ends, log).await,
            None => {
                let mut reply = Vec::new();
                Session::no_resources().encode(&mut reply);
                self.write(&mut stream, &reply).await;
            }
        }
    }

    async fn serve(self: Rc<Self>, mut stream: W::Stream, ends: Ends, log: Logger) {
        let now = self.shared.world.now();
        let mut session = Session::new(Rc::clone(&self.screening), ends, log.clone(), now);
        let mut lookup = None;
        let mut course = session.judge(self.moment(), &self.results).await;
        loop {
            if let Some(record) = session.take_record() {
                self.results.update(&ends.0.ip().to_string(), &record).await;
            }
            let replies = session.take_output(self.moment()).await;
            if !self.write(&mut stream, &replies).await && course != Course::Close {
                course = session.hung_up(self.moment());
                continue;
            }
            course = match course {
                Course::Early { deadline, listens } => {
                    if lookup.is_none() && session.wants_score() {
                        lookup = Some(self.lists.ask(ends.0.ip(), &log));
                    }
                    let lists = lookup.as_deref().filter(|_| session.wants_score());
                    let heard = self.early(&mut stream, (deadline, listens), lists).await;
                    let course = self.tell_early(&mut session, course, heard, lookup.as_deref()).await;
                    // Lists are asked again for the client's next connection, as soon as nobody waits for them.
                    lookup = lookup.filter(|_| session.wants_score());
                    course
                }
                Course::Commands { deadline } => match unread(&mut session, &mut stream) {
                    unread if !unread.is_empty() => session.commands(self.moment(), &unread).await,
                    _ => self.command(&mut session, &mut stream, deadline).await,
                },
                Course::HandOver => match self.pass_service() {
                    Ok(target) => {
                        return self.hand_over(target, session, stream, (ends, log)).await;
                    }
                    Err(why) => session.cannot_pass(self.moment(), why),
                },
                Course::Close => return,
            }
        }
    }

    async fn write(&self, stream: &mut W::Stream, bytes: &[u8]) -> bool {
        bytes.is_empty()
            || matches!(self.shared.world.timeout(WRITE_LIMIT, stream.write_all(bytes)).await, Some(Ok(())))
    }

    async fn early(
        &self,
        stream: &mut W::Stream,
        (deadline, listens): (Instant, bool),
        lists: Option<&Lookup>,
    ) -> Heard {
        let word = async {
            if !listens {
                pending::<()>().await;
            }
            // An error shows when there is something to read.
            let _ = stream.readable().await;
        };
        let answers = async {
            match lists {
                Some(lookup) => lookup.complete().await,
                None => pending().await,
            }
        };
        let world = &self.shared.world;
        let limit = deadline.since(world.now());
        match world.timeout(limit, first(answers, word)).await {
            None => Heard::Late,
            Some(Ok(())) => Heard::Lists,
            Some(Err(())) => read(stream, Session::pregreet_bytes()),
        }
    }

    async fn tell_early(
        &self,
        session: &mut Session,
        course: Course,
        heard: Heard,
        lookup: Option<&Lookup>,
    ) -> Course {
        let at = self.moment();
        match heard {
            Heard::Nothing => course,
            Heard::HangUp => session.hung_up(at),
            Heard::Bytes(bytes) => session.spoke(at, &bytes, lookup.map(Lookup::score)).await,
            Heard::Late => session.time_is_up(at, lookup.map(Lookup::score)).await,
            Heard::Lists => match lookup {
                Some(lookup) => session.lists_answered(at, lookup.score()).await,
                None => course,
            },
        }
    }

    async fn command(&self, session: &mut Session, stream: &mut W::Stream, deadline: Instant) -> Course {
        let world = &self.shared.world;
        let limit = deadline.since(world.now());
        let heard = match world.timeout(limit, stream.readable()).await {
            None => Heard::Late,
            Some(_) => read(stream, CHUNK),
        };
        match heard {
            Heard::Bytes(bytes) => session.commands(self.moment(), &bytes).await,
            Heard::HangUp => session.hung_up(self.moment()),
            Heard::Late => session.command_timed_out(),
            Heard::Nothing | Heard::Lists => Course::Commands { deadline },
        }
    }

    /// Where clients go that have passed, or why they cannot.
    fn pass_service(&self) -> Result<Rc<SmtpService>, &'static str> {
        let settings = &self.screening.settings;
        let target = self.inside.passes.borrow().get(&settings.smtpd_service_name).cloned();
        // The socket's backlog would be full.
        if self.late.get() >= settings.limits.postscreen_post_queue_limit {
            return Err("Resource temporarily unavailable");
        }
        target.ok_or("No such file or directory")
    }

    /// Waits for a place, as the socket's backlog would.
    async fn hand_over(
        &self,
        target: Rc<SmtpService>,
        mut session: Session,
        mut stream: W::Stream,
        (ends, log): (Ends, Logger),
    ) {
        let world = &self.shared.world;
        let stream = Unread::new(unread(&mut session, &mut stream), stream);
        let passing = session.passing();
        let place = match target.slots.try_take() {
            Some(place) => place,
            None => match world.timeout(HAND_OVER_LIMIT, target.slots.take()).await {
                Some(place) => place,
                None => {
                    let service = &self.screening.settings.smtpd_service_name;
                    log.warning(&format!("timeout sending connection to service private/{service}"));
                    drop((passing, session));
                    self.late.set(self.late.get() + 1);
                    let place = target.slots.take().await;
                    self.late.set(self.late.get().saturating_sub(1));
                    return self.serve_with(place, target, stream, ends);
                }
            },
        };
        drop((passing, session));
        self.serve_with(place, target, stream, ends);
    }

    /// A task of its own: the tests' state is let go.
    fn serve_with(&self, place: net::Permit, target: Rc<SmtpService>, stream: Unread<W::Stream>, ends: Ends) {
        let shared = Rc::clone(&self.shared);
        self.shared.world.spawn(async move {
            let logger = shared.log.session(&target.tag);
            let manner = target.manner_now(&shared, None);
            let peer = Peer { is_screened: true, ..stranger(ends) };
            session::serve_client(shared, (target, manner), stream, (Some(peer), logger)).await;
            drop(place);
        });
    }
}

/// What was said too early, with what has come since: whoever reads it next sees all of it at once, as it is one in the socket
/// that Postfix has only looked into.
fn unread(session: &mut Session, stream: &mut impl Stream) -> Vec<u8> {
    let mut bytes = session.take_unread();
    if !bytes.is_empty()
        && let Heard::Bytes(more) = read(stream, CHUNK.saturating_sub(bytes.len()))
    {
        bytes.extend(more);
    }
    bytes
}

/// What is there to be read.
fn read(stream: &mut impl Stream, bytes_max: usize) -> Heard {
    let mut buffer = [0; CHUNK];
    match stream.try_read(&mut buffer[..bytes_max.min(CHUNK)]) {
        Ok(0) => Heard::HangUp,
        Ok(count) => Heard::Bytes(buffer.get(..count).unwrap_or_default().to_vec()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
        Err(_) => Heard::HangUp,
    }
}
