"""4 KiB messages through ten restrictions: two cidr tables, a pcre table of 200 rules, two block lists; then discarded."""
import os
import random
import time
import harness as h

VARIANTS = {"s20": dict(n=4000, sessions=20, size=4096)}
LISTS = ("one.list.bench", "two.list.bench")
RESOLVER = "127.0.5.53"
SETTINGS = """
relay_domains = discard.example
smtpd_peername_lookup = no
smtpd_helo_required = yes
smtpd_client_restrictions = check_client_access cidr:$C/denied
smtpd_helo_restrictions = reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname
smtpd_sender_restrictions = check_sender_access pcre:$C/senders, reject_non_fqdn_sender
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_client_access cidr:$C/networks, reject_non_fqdn_recipient,
    reject_rbl_client %s, reject_rbl_client %s
""" % LISTS
RULES = 200
# Postfix's cleanup warns when the time of a fresh file is a tick ahead of the clock that it read; its mail is as good.
HARMLESS = ("file system clock is", "resetting file time stamps")


class Restricted(h.SUT):
    def fresh(self):
        super().fresh()
        dice = random.Random(7)
        for name in ("denied", "networks"):
            with open("%s/etc/%s" % (self.dir, name), "w") as f:
                for _ in range(RULES):
                    f.write("10.%d.%d.0/24 REJECT\n" % (dice.randrange(256), dice.randrange(256)))
        with open(self.dir + "/etc/senders", "w") as f:
            for n in range(RULES):
                f.write("/^bulk%d[-.].*@offers%d\\.example$/ REJECT no bulk mail\n" % (n, dice.randrange(500)))


def run(peer, variant, n, sessions, size):
    gen, rcpt = h.Gen(), "user@discard.example"
    with h.NameServer(RESOLVER, LISTS), Restricted(peer, settings=SETTINGS, resolver=RESOLVER) as sut:
        log = sut.done_log()
        gen.wait([gen.source(sut.port, 50, 5, size, rcpt, ["-N"])], 60)          # warm up
        if not log.wait(50, 60):
            raise RuntimeError("warm-up: only %d of 50 delivered" % log.count)
        with h.Meter(sut, gen) as m:
            gen.wait([gen.source(sut.port, n, sessions, size, rcpt, ["-N"])], 400)
            all_done = log.wait(50 + n, 400)
        time.sleep(0.3)
        left = sut.drained()
        with open(os.path.join(sut.dir, "maillog"), errors="replace") as lines:
            amiss = [line.rstrip() for line in lines if "reject" in line or "warning" in line
                     and not any(text in line for text in HARMLESS)]
        return dict(ok=left == 0 and all_done and log.poll() == 50 + n and not amiss, n=n, sessions=sessions,
                    per_s=round(n / m.secs, 1), left_in_queue=left, refused=len(amiss), amiss=amiss[:3], **m.numbers(n))
