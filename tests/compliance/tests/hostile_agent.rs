//! A delivery agent that does not answer: its mail waits, other mail does not.

use compliance::{
    system::{System, Which, files},
    wire::Talk,
};
use std::process::Command;

fn submit(system: &System, recipient: &str) {
    let mut talk = Talk::to(system.address());
    talk.reply();
    for line in ["EHLO c.test", "MAIL FROM:<a@c.test>", &format!("RCPT TO:<{recipient}>"), "DATA"] {
        let reply = talk.say(line);
        assert!(reply.starts_with(['2', '3']), "{line}: {reply}\n{}", system.log());
    }
    assert!(talk.say("Subject: x\r\n\r\nx\r\n.").starts_with("250"));
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "{pid} is gone");
}

#[test]
fn a_stuck_agent_defers_its_mail_only() {
    let system = System::start(
        Which::Posthaste,
        "virtual_mailbox_domains = example.test\nvirtual_mailbox_base = $B/mail\n\
         virtual_mailbox_maps = inline:{ stuck@example.test=stuck/ other@example.test=other/ }\n\
         virtual_uid_maps = inline:{ stuck@example.test=65534 other@example.test=65533 }\n\
         virtual_gid_maps = static:65534\nipc_timeout = 2s\nsmtpd_peername_lookup = no\n",
    );
    let delivered = |name: &str| files(&system.path(&format!("mail/{name}/new"))).len();
    submit(&system, "stuck@example.test");
    system.wait_until("the first mail is delivered", || delivered("stuck") == 1);
    let agent = system.process("posthaste-agent");
    signal("-STOP", agent);
    submit(&system, "stuck@example.test");
    submit(&system, "other@example.test");
    system.wait_until("other mail is delivered", || delivered("other") == 1);
    system.wait_until("the mail of the stuck agent is deferred", || system.queued("deferred") == 1);
    assert!(system.log().contains("ipc_timeout"), "{}", system.log());
    // Its user could keep it so for ever, and others would find default_process_limit reached: master ends it.
    system
        .wait_until("the stuck agent is gone", || !std::path::Path::new(&format!("/proc/{agent}")).exists());
    system.command("postqueue", &["-f"]);
    system
        .wait_until("a new agent delivers it", || system.queued("deferred") == 0 && delivered("stuck") >= 2);
}
