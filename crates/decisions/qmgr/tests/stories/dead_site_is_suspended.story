# A cohort of failures makes a site dead: what waits for it is put off with the same reason, without another connection,
# and nothing is tried before minimal_backoff_time.
show deliver finish log
set initial_destination_concurrency 1
t=0 site x dead
t=0 arrive A to=x
t=5 arrive B to=x
t=20 arrive C to=y
t=250 site x ok
until 1000
---
t=0 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=0 A to x x1
t=1 A: to=<u0@x>, relay=none, delay=0, delays=0/0/0/0, dsn=4.4.1, status=deferred (connection refused)
t=1 A deferred for 300s
t=5 B: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=5 B: to=<u0@x>, relay=none, delay=0, delays=0/0/0/0, dsn=4.4.1, status=deferred (delivery temporarily suspended: connection refused)
t=5 B deferred for 300s
t=20 C: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=20 C to y x1
t=21 C: to=<u0@y>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)
t=21 C removed
t=21 C: removed
t=300 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=300 A: to=<u0@x>, relay=none, delay=300, delays=300/0/0/0, dsn=4.4.1, status=deferred (delivery temporarily suspended: connection refused)
t=300 A deferred for 300s
t=600 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=600 B: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=600 A to x x1
t=601 A: to=<u0@x>, relay=none, delay=600, delays=600/0/0/0, dsn=2.0.0, status=sent (ok)
t=601 B to x x1
t=601 A removed
t=601 A: removed
t=602 B: to=<u0@x>, relay=none, delay=596, delays=595/1/0/0, dsn=2.0.0, status=sent (ok)
t=602 B removed
t=602 B: removed
