# The same with preemption switched off (delivery_slot_cost 0): first come, first served.
show finish
process smtp 2
set default_delivery_slot_cost 0
set smtp_destination_recipient_limit 1
t=0 arrive BIG x200 to=x
t=10.5 arrive SMALL x2 to=y
until 150
---
t=100 BIG removed
t=101 SMALL removed
