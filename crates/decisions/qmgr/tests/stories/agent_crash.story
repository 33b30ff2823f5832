# An agent that dies throttles its transport for transport_retry_time; nothing is lost, other transports go on.
show deliver finish log warning
t=0 site x crash
t=0 arrive A to=x
t=2 arrive B to=local.y
t=3 arrive C to=z
t=4 site x ok
until 1000
---
t=0 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=0 A to x x1
t=1 warning: transport smtp failure -- see a previous warning/fatal/panic logfile record for the problem description
t=1 A: to=<u0@x>, relay=none, delay=1, delays=0/1/0/0, dsn=4.3.0, status=deferred (unknown mail transport error)
t=1 A deferred for 300s
t=2 B: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=2 B to y x1
t=3 B: to=<u0@local.y>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)
t=3 B removed
t=3 B: removed
t=3 C: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=3 C: to=<u0@z>, relay=none, delay=0, delays=0/0/0/0, dsn=4.3.0, status=deferred (unknown mail transport error)
t=3 C deferred for 300s
t=300 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=300 A to x x1
t=301 A: to=<u0@x>, relay=none, delay=300, delays=300/0/0/0, dsn=2.0.0, status=sent (ok)
t=301 A removed
t=301 A: removed
t=600 C: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=600 C to z x1
t=601 C: to=<u0@z>, relay=none, delay=597, delays=597/0/0/0, dsn=2.0.0, status=sent (ok)
t=601 C removed
t=601 C: removed
