# Too old: returned with the reason of the last try. A notice (null sender) has bounce_queue_lifetime.
show finish log
set maximal_queue_lifetime 1000s
set bounce_queue_lifetime 500s
t=0 site x later
t=0 arrive A x2 to=x
t=0 arrive B from= to=x
until 3000
---
t=0 A: from=<sender@here>, size=0, nrcpt=2 (queue active)
t=0 B: from=<>, size=0, nrcpt=1 (queue active)
t=1 A: to=<u0@x>, relay=none, delay=0, delays=0/0/0/0, dsn=4.2.2, status=deferred (mailbox full)
t=1 A: to=<u1@x>, relay=none, delay=0, delays=0/0/0/0, dsn=4.2.2, status=deferred (mailbox full)
t=1 A deferred for 300s
t=1 B: to=<u0@x>, relay=none, delay=0, delays=0/0/0/0, dsn=4.2.2, status=deferred (mailbox full)
t=1 B deferred for 300s
t=300 A: from=<sender@here>, size=0, nrcpt=2 (queue active)
t=300 B: from=<>, size=0, nrcpt=1 (queue active)
t=301 A: to=<u0@x>, relay=none, delay=300, delays=300/0/0/0, dsn=4.2.2, status=deferred (mailbox full)
t=301 A: to=<u1@x>, relay=none, delay=300, delays=300/0/0/0, dsn=4.2.2, status=deferred (mailbox full)
t=301 B: to=<u0@x>, relay=none, delay=300, delays=300/0/0/0, dsn=4.2.2, status=deferred (mailbox full)
t=301 A deferred for 301s
t=301 B deferred for 301s
t=900 A: from=<sender@here>, size=0, nrcpt=2 (queue active)
t=900 B: from=<>, size=0, nrcpt=1 (queue active)
t=901 A: to=<u0@x>, relay=none, delay=900, delays=900/0/0/0, dsn=4.2.2, status=deferred (mailbox full)
t=901 A: to=<u1@x>, relay=none, delay=900, delays=900/0/0/0, dsn=4.2.2, status=deferred (mailbox full)
t=901 B: to=<u0@x>, relay=none, delay=900, delays=900/0/0/0, dsn=4.2.2, status=deferred (mailbox full)
t=901 A deferred for 901s
t=901 B: from=<>, status=expired, returned to sender
t=901 B Expired notice x1
t=901 B removed
t=901 B: removed
t=2100 A: from=<sender@here>, size=0, nrcpt=2 (queue active)
t=2101 A: to=<u0@x>, relay=none, delay=2100, delays=2100/0/0/0, dsn=4.2.2, status=deferred (mailbox full)
t=2101 A: to=<u1@x>, relay=none, delay=2100, delays=2100/0/0/0, dsn=4.2.2, status=deferred (mailbox full)
t=2101 A: from=<sender@here>, status=expired, returned to sender
t=2101 A Expired notice x2
t=2101 A removed
t=2101 A: removed
