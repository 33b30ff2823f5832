# Recipients are read as slots become free; all of them are delivered to.
show finish
set qmgr_message_active_limit 10
set qmgr_message_recipient_limit 20
set default_recipient_limit 50
set default_extra_recipient_limit 10
set default_recipient_refill_limit 10
set default_destination_recipient_limit 5
t=0 arrive A x1000 to=a,b,c
t=0 arrive B x1000 to=b,c,d
until 1000
---
t=17 A removed
t=31 B removed
