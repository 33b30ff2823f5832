# Mail for the double-bounce address is dropped: it is the last notice.
show finish log warning
t=0 arrive A from= to=local.here user=double-bounce
---
t=0 A: from=<>, size=0, nrcpt=1 (queue active)
t=0 warning: A: undeliverable postmaster notification discarded
t=0 A: to=<double-bounce@local.here>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (undeliverable postmaster notification discarded)
t=0 A removed
t=0 A: removed
