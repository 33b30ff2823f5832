# A final failure is recorded before it is marked, and returned before the message is removed.
show finish log
t=0 site x refuse
t=0 arrive A x2 to=x,y
---
t=0 A: from=<sender@here>, size=0, nrcpt=2 (queue active)
t=1 A: to=<u1@y>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)
t=1 A: to=<u0@x>, relay=none, delay=0, delays=0/0/0/0, dsn=5.1.1, status=bounced (no such user)
t=1 A Failure notice x1
t=1 A removed
t=1 A: removed
