# An agent that dies after some have the message: only the others are tried again.
show deliver finish log
t=0 site x half-crash
t=0 arrive A x3 to=x
t=2 site x ok
until 1000
---
t=0 A: from=<sender@here>, size=0, nrcpt=3 (queue active)
t=0 A to x x3
t=0.5 A: to=<u0@x>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)
t=0.5 A: to=<u1@x>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)
t=1 A: to=<u2@x>, relay=none, delay=1, delays=0/1/0/0, dsn=4.3.0, status=deferred (unknown mail transport error)
t=1 A deferred for 300s
t=300 A: from=<sender@here>, size=0, nrcpt=3 (queue active)
t=300 A to x x1
t=301 A: to=<u2@x>, relay=none, delay=300, delays=300/0/0/0, dsn=2.0.0, status=sent (ok)
t=301 A removed
t=301 A: removed
