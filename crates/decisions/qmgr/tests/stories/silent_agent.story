# A recipient that an agent forgets to report on is deferred.
show log finish
t=0 site x silent
t=0 arrive A to=x
until 10
---
t=0 A: from=<sender@here>, size=0, nrcpt=1 (queue active)
t=1 A: to=<u0@x>, relay=none, delay=0, delays=0/0/0/0, dsn=4.3.0, status=deferred (delivery agent gave no status)
t=1 A deferred for 300s
