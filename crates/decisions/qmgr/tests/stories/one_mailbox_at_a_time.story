# Where recipients go alone (local_destination_recipient_limit 1) each has its own queue: address extensions share it, and
# local_destination_concurrency_limit deliveries run at once.
show deliver finish
t=0 site host ok 10
t=0 arrive A user=bob to=local.host
t=0 arrive B user=bob+x to=local.host
t=0 arrive C user=bob to=local.host
t=0 arrive D user=ann to=local.host
set recipient_delimiter +
---
t=0 A to host x1
t=0 B to host x1
t=0 D to host x1
t=10 A removed
t=10 C to host x1
t=10 B removed
t=10 D removed
t=20 C removed
