//! spawn(8): a command of master.cf on one connection.
//!
//! `receive` has accepted the connection and passes it; it is all that the command gets. Which command that is, and how long
//! it may run, this process reads in the configuration itself.

use crate::environment;
use config::{Configuration, SpawnCommand, Values, params as p};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open},
};
use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::{Child, ExitStatus},
    time::Duration,
};
use sys::{
    command::{Spec, start_on},
    packet,
};

/// Serves one connection that comes over `socket`, for the row `service/type`. What there is to say of it goes back as lines:
/// `fatal: ` before what Postfix's process ends with.
pub(crate) fn serve(configuration: &Configuration, service: &str, socket: &OwnedFd) -> Result<(), String> {
    let row = SpawnCommand::row(configuration, service)
        .ok_or_else(|| format!("master.cf has no service {service} for spawn"))?;
    let command = SpawnCommand::of(row)?;
    let values = configuration.values_for(row);
    let limit =
        values.named_time(&format!("{}_time_limit", row.name), values.time(p::command_time_limit), 's');
    let Some(packet) = packet::receive(socket, 0).map_err(|error| error.to_string())? else { return Ok(()) };
    let connection = packet.file.ok_or("a request without a connection")?;
    let remarks = run(command, &values, connection, limit);
    // Whoever has passed the connection may be gone by now, with the log.
    let _ = packet::send(socket, remarks.join("\n").as_bytes(), None);
    Ok(())
}

fn run(command: SpawnCommand, values: &Values, connection: File, limit: Duration) -> Vec<String> {
    let program = command.words.first().cloned().unwrap_or_default();
    let exported = values.list(p::export_environment);
    let spec = Spec {
        words: command.words.into_iter().map(Into::into).collect(),
        called: None,
        environment: environment::exported(exported),
        file_size_limit: 0,
    };
    let child = match start_on(spec, connection) {
        Ok(child) => child,
        Err(error) => {
            let why = crate::trouble::text(&error);
            return vec![
                format!("fatal: spawn_comand: execvp {program}: {why}"),
                format!("command {program} exit status 1"),
            ];
        }
    };
    let mut remarks = Vec::new();
    let ended = end(child, limit, |pid| {
        remarks.push(format!("{program}: process id {pid}: command time limit exceeded"));
    });
    match ended.map(|status| (status.code(), status.signal())) {
        Ok((Some(0), _)) => {}
        Ok((Some(code), _)) => remarks.push(format!("command {program} exit status {code}")),
        Ok((None, signal)) => {
            remarks.push(format!("command {program} killed by signal {}", signal.unwrap_or(0)));
        }
        Err(error) => remarks.push(format!("fatal: wait: {}", crate::trouble::text(&error))),
    }
    remarks
}

/// Waits for its end, or makes an end of it and everything that it has started.
fn end(mut child: Child, limit: Duration, over: impl FnOnce(u32)) -> io::Result<ExitStatus> {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return child.wait() };
    let ended = pidfd_open(pid, PidfdFlags::empty())?;
    let time = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    let mut files = [PollFd::new(&ended, PollFlags::IN)];
    if rustix::io::retry_on_intr(|| poll(&mut files, Some(&time)))? == 0 {
        over(child.id());
        if kill_process_group(pid, Signal::KILL).is_err() {
            // One that is gone already is what was wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    child.wait()
}
