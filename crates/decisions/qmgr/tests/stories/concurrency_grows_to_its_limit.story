# Success raises the concurrency by one for each delivery, up to default_destination_concurrency_limit.
show finish
set default_destination_concurrency_limit 7
set default_destination_recipient_limit 2
t=0 arrive A x100 to=x
peak smtp:x
---
t=8 A removed
peak smtp:x 7
