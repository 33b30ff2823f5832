# postsuper -f: the message is returned now, with what its defer log says.
show finish log
t=0 site x later
t=0 arrive A to=x
t=100 expire A
until 200
---
t=0 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=1 A: to=<u0@x>, relay=none, delay=0, delays=0/0/0/0, dsn=4.2.2, status=deferred (mailbox full)
t=1 A deferred for 300s
t=100 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=100 A: from=<sender@here>, status=force-expired, returned to sender
t=100 A Expired notice x1
t=100 A removed
t=100 A: removed
