# soft_bounce: final failures are only delays.
show finish log
set soft_bounce yes
t=0 site x refuse
t=0 arrive A to=x
until 10
---
t=0 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=1 A: to=<u0@x>, relay=none, delay=0, delays=0/0/0/0, dsn=4.1.1, status=SOFTBOUNCE (no such user)
t=1 A deferred for 300s
