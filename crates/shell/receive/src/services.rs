//! The rows of master.cf that this process serves. A row whose settings cannot be used is out of order by itself, and the
//! others serve.

use crate::{
    Shared,
    out_of_order::OutOfOrder,
    pickup, postscreen,
    qmqp::{self, QmqpService},
    service::{Row, SmtpService},
    session,
};
use net::Slots;
use process::{Libraries, Process};
use std::rc::Rc;
use sys::control::{EndpointKind, ServedRow};
use world::{Accept, World};

/// What is under way in each service.
pub(crate) struct Services<W: World> {
    pub(crate) sessions: Vec<Slots>,
    pickups: Vec<Slots>,
    /// Caches of postscreen.
    pub(crate) results: Vec<postscreen::CachedResults<W>>,
}

/// What the rows of a process are started with.
struct Starting<'s, W: World> {
    shared: &'s Rc<Shared<W>>,
    process: &'s Process,
    libraries: &'s Libraries<'s>,
    inside: &'s Rc<postscreen::Inside>,
}

impl<W: World> Services<W> {
    /// Begins to serve.
    pub(crate) fn start<L: Accept<Stream = W::Stream>>(
        shared: &Rc<Shared<W>>,
        process: &Process,
        rows: Vec<(ServedRow, Vec<L>)>,
    ) -> Self {
        let mut services = Self { sessions: Vec::new(), pickups: Vec::new(), results: Vec::new() };
        let libraries = Libraries::new(process, &shared.openers);
        let inside = Rc::new(postscreen::Inside::default());
        let starting = Starting { shared, process, libraries: &libraries, inside: &inside };
        for (row, mut listeners) in rows {
            let wrong = match OutOfOrder::of(process, &row) {
                Some(wrong) => Some(wrong),
                None => services.start_row(&starting, &row, &mut listeners).err().map(|why| {
                    let wrong = OutOfOrder::new(process, &row, why);
                    // Nobody checked these settings before, and a service may have no clients.
                    wrong.say(shared);
                    wrong
                }),
            };
            if let Some(wrong) = wrong.map(Rc::new) {
                for listener in listeners {
                    shared.world.spawn(Rc::clone(&wrong).refuse(Rc::clone(shared), listener));
                }
            }
        }
        services
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.sessions.iter().chain(&self.pickups).all(|slots| slots.taken() == 0)
    }

    /// Takes the listeners if the row can be served.
    fn start_row<L: Accept<Stream = W::Stream>>(
        &mut self,
        Starting { shared, process, libraries, inside }: &Starting<'_, W>,
        row: &ServedRow,
        listeners: &mut Vec<L>,
    ) -> Result<(), String> {
        let values = process.row_values(row);
        match row.program.as_str() {
            "smtpd" => {
                let named = Row::of(process, row);
                let service = Rc::new(SmtpService::new(shared, (process, libraries), named, &values)?);
                self.sessions.push(service.slots.clone());
                let listeners = std::mem::take(listeners);
                if row.kind == EndpointKind::Pass {
                    // postscreen's clients come by a function call; nobody else's are taken.
                    inside.add_smtpd(&row.service, service);
                    return Ok(());
                }
                for listener in listeners {
                    shared.world.spawn(session::accept(Rc::clone(shared), Rc::clone(&service), listener));
                }
            }
            "postscreen" => {
                let (slots, results) = postscreen::start(shared, process, &values, inside, listeners)?;
                self.sessions.push(slots);
                self.results.push(results);
            }
            "dnsblog" => inside.add_dnsblog(&row.service, &values),
            "qmqpd" => {
                let service = Rc::new(QmqpService::new(shared, (process, libraries), row, &values)?);
                self.sessions.push(service.slots.clone());
                for listener in std::mem::take(listeners) {
                    shared.world.spawn(qmqp::accept(Rc::clone(shared), Rc::clone(&service), listener));
                }
            }
            "pickup" => {
                let named = (row.service.as_str(), &values);
                self.pickups.push(pickup::start(shared, (process, libraries), named, listeners)?);
            }
            // Their work is done by function calls; a row that is here by placement needs no loop.
            _ => {}
        }
        Ok(())
    }
}
