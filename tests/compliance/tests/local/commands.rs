//! Mail to commands: exit codes, what they say, what they are told, as whom and where they run.

use crate::story::{both_prepared, deliver_all, each_setting, essence, open_place, write, write_for};
use compliance::machine::Machine;
use std::{fs, os::unix::fs::chown};

fn read(machine: &Machine, name: &str) -> String {
    let text =
        fs::read_to_string(machine.path("home/open").join(name)).unwrap_or_else(|error| error.to_string());
    format!("{name}: {}", essence(&text, machine))
}

/// Names and commands of aliases; the exit codes come as well.
const COMMANDS: &[(&str, &str)] = &[
    ("plain", "/bin/true"),
    ("shell", "exit 0"),
    ("builtin", "true"),
    ("output", "echo something went wrong; exit 67"),
    ("lines", "printf 'one\\\\ntwo\\\\tthree\\\\r\\\\n'; exit 75"),
    ("much", "head -c 1500 /dev/zero | tr '\\\\0' x; exit 1"),
    ("stderr", "echo to stderr >&2; exit 1"),
    ("utf8", "printf 'gr\\\\303\\\\274n \\\\377'; exit 1"),
    ("status", "echo 4.2.2 mailbox is full; exit 1"),
    ("refusal", "echo 5.7.1 go away; exit 0; "),
    ("refused", "echo 5.7.1 go away; exit 75"),
    ("success", "echo 2.0.0 fine; exit 1"),
    ("silent", "exit 1"),
    ("signal", "kill -15 $$"),
    ("missing", "/no/such/program -x"),
    ("unknown", "nosuchprogram -x"),
    ("directory", "/tmp"),
    ("text", "/etc/passwd"),
    ("hasty", "exec 0<&-; exit 0"),
    ("picky", "exec 0<&-; exit 67"),
    ("quotes", "printf '%s' \\\"a b\\\" 'c' > $M/home/open/quotes"),
];

#[test]
fn what_a_command_says_becomes_of_its_mail() {
    let prepare = |machine: &Machine| {
        open_place(machine);
        let mut aliases = String::from("postmaster: alice\n");
        for (name, command) in COMMANDS {
            aliases.push_str(&format!("{name}: \"|{command}\"\n"));
        }
        for code in [2, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 127, 255] {
            aliases.push_str(&format!("code{code}: \"|exit {code}\"\n"));
        }
        write(machine, "etc/aliases", &aliases);
    };
    both_prepared("local_destination_concurrency_limit = 20\n", prepare, |machine| {
        let codes = [2, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 127, 255];
        let mut names: Vec<String> = COMMANDS.iter().map(|(name, _)| format!("{name}@debian.test")).collect();
        names.extend(codes.iter().map(|code| format!("code{code}@debian.test")));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut seen = deliver_all(machine, &names);
        seen.push(read(machine, "quotes"));
        seen
    });
}

#[test]
fn what_a_command_is_told_and_where_it_runs() {
    let report = "env | grep -v -e ^PWD -e ^SHLVL -e ^_= -e ^OLDPWD | sort; id; pwd; umask; ulimit -f; cat";
    let prepare = |machine: &Machine| {
        open_place(machine);
        write(
            machine,
            "etc/aliases",
            &format!("nobodys: \"|({report}) > $M/home/open/nobodys\"\nlist: bob\n"),
        );
        let text = format!("\"|({report}) > $M/home/open/$USER\"\n");
        write_for(machine, 61_001, "home/alice/.forward", &text);
        let extended = format!("\"|({report}) > $M/home/open/$USER.$EXTENSION\"\n");
        write_for(machine, 61_001, "home/alice/.forward+a-b;c", &extended);
        write_for(machine, 61_001, "home/alice/.forward+a-b_c", &extended);
    };
    let settings = "recipient_delimiter = +\nmailbox_size_limit = 20480000\n\
        mailbox_command = (env | grep -v -e ^PWD -e ^SHLVL -e ^_= -e ^OLDPWD | sort; id; cat) > $M/home/open/$LOGNAME\n";
    both_prepared(settings, prepare, |machine| {
        let to = [
            "nobodys+x@debian.test",
            "Alice@debian.test",
            "\"alice+a-b;c\"@debian.test",
            "list+y@debian.test",
        ];
        let mut seen = deliver_all(machine, &to);
        for name in ["nobodys", "alice", "alice.a-b_c", "bob"] {
            seen.push(read(machine, name));
        }
        // Debian's smtpd is in a chroot, where nobody knows the client's name.
        seen.iter().map(|text| text.replace("CLIENT_HOSTNAME=unknown", "CLIENT_HOSTNAME=localhost")).collect()
    });
}

#[test]
fn a_command_may_take_so_long_and_no_longer() {
    let prepare = |machine: &Machine| {
        open_place(machine);
        let aliases = "sleeps: \"|sleep 60\"\nsays: \"|echo wait for me; sleep 60\"\n\
            family: \"|(sleep 61; touch $M/home/open/survivor) & wait\"\ncloses: \"|exec 0<&- 1>&- 2>&-; sleep 60\"\n";
        write(machine, "etc/aliases", aliases);
    };
    both_prepared("command_time_limit = 2s\n", prepare, |machine| {
        let to = ["sleeps@debian.test", "says@debian.test", "family@debian.test", "closes@debian.test"];
        let mut seen = deliver_all(machine, &to);
        machine.wait_until("nothing of it is left", || {
            let listed = std::process::Command::new("pgrep").args(["-f", "^sleep 6[01]"]).output();
            listed.is_ok_and(|output| output.stdout.is_empty())
        });
        seen.push(read(machine, "survivor"));
        seen
    });
}

#[test]
fn commands_run_where_the_administrator_wants_them_to() {
    let prepare = |machine: &Machine| {
        open_place(machine);
        for user in ["alice", "bob"] {
            write_for(machine, 61_001, &format!("home/{user}/.forward"), "\"|pwd > $M/home/open/$USER\"\n");
        }
        chown(machine.path("home/bob/.forward"), Some(61_002), Some(61_002)).expect("root may give");
        fs::create_dir(machine.path("home/alice/x_y")).expect("a fresh directory");
        chown(machine.path("home/alice/x_y"), Some(61_001), Some(61_001)).expect("root may give");
    };
    let settings = "command_execution_directory = $home/${extension}\nrecipient_delimiter = +\n\
        propagate_unmatched_extensions = canonical, virtual\n";
    both_prepared(settings, prepare, |machine| {
        let to = ["\"alice+x;y\"@debian.test", "bob+nowhere@debian.test", "bob@debian.test"];
        let mut seen = deliver_all(machine, &to);
        seen.extend([read(machine, "alice"), read(machine, "bob")]);
        seen
    });
}

fn a_directory_or_shell(settings: &str) {
    let prepare = |machine: &Machine| {
        write(machine, "etc/aliases", "cat: \"|cat >/dev/null\"\n");
    };
    both_prepared(settings, prepare, |machine| deliver_all(machine, &["cat@debian.test"]));
}

each_setting! {
    a_directory_or_shell:
    command_execution_directory_that_cannot_be_read = "command_execution_directory = ${home\n",
    local_command_shell_that_is_not_there = "local_command_shell = /no/such/shell -c\n",
    local_command_shell_with_options = "local_command_shell = /bin/sh -xc\n",
}
