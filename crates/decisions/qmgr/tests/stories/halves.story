# Who has the message is marked when that is known, not when the agent is through with the others: after a crash between, only the others are tried.
show deliver finish log
t=0 site x halves 600
t=0 arrive A x3 to=x
t=400 restart
until 2000
---
t=0 A: from=<sender@here>, size=0, nrcpt=3 (queue active)
t=0 A to x x3
t=300 A: to=<u0@x>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)
t=300 A: to=<u1@x>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)
t=400 A: from=<sender@here>, size=0, nrcpt=3 (queue active)
t=400 A to x x1
t=700 A: to=<u2@x>, relay=none, delay=400, delays=400/0/0/0, dsn=2.0.0, status=sent (ok)
t=1000 A removed
t=1000 A: removed
