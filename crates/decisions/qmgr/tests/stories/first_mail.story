# One message, two recipients at one site: one request, one removal.
show deliver finish log
t=0 arrive A x2 to=x
---
t=0 A: from=<sender@here>, size=0, nrcpt=2 (queue active)
t=0 A to x x2
t=1 A: to=<u0@x>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)
t=1 A: to=<u1@x>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)
t=1 A removed
t=1 A: removed
