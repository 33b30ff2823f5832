# defer_transports keeps mail of a transport until somebody flushes.
show deliver finish log
set defer_transports smtp
t=0 arrive A to=x
t=0 arrive B to=local.x
t=1000 flush
until 1100
---
t=0 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=0 B: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=0 B to x x1
t=0 A: to=<u0@x>, relay=none, delay=0, delays=0/0/0/0, dsn=4.3.2, status=deferred (deferred transport)
t=0 A deferred for 300s
t=1 B: to=<u0@local.x>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)
t=1 B removed
t=1 B: removed
t=300 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=300 A: to=<u0@x>, relay=none, delay=300, delays=300/0/0/0, dsn=4.3.2, status=deferred (deferred transport)
t=300 A deferred for 300s
t=600 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=600 A: to=<u0@x>, relay=none, delay=600, delays=600/0/0/0, dsn=4.3.2, status=deferred (deferred transport)
t=600 A deferred for 600s
t=1000 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=1000 A to x x1
t=1001 A: to=<u0@x>, relay=none, delay=1000, delays=1000/0/0/0, dsn=2.0.0, status=sent (ok)
t=1001 A removed
t=1001 A: removed
