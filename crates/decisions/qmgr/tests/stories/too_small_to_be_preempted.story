# A job of fewer than minimum_delivery_slots times delivery_slot_cost entries is not preempted.
show deliver finish
process smtp 1
set smtp_destination_recipient_limit 1
t=0 arrive SMALLISH x14 to=x
t=3.5 arrive TINY x1 to=y
until 60
---
t=0 SMALLISH to x x1
t=1 SMALLISH to x x1
t=2 SMALLISH to x x1
t=3 SMALLISH to x x1
t=4 SMALLISH to x x1
t=5 SMALLISH to x x1
t=6 SMALLISH to x x1
t=7 SMALLISH to x x1
t=8 SMALLISH to x x1
t=9 SMALLISH to x x1
t=10 SMALLISH to x x1
t=11 SMALLISH to x x1
t=12 SMALLISH to x x1
t=13 SMALLISH to x x1
t=14 SMALLISH removed
t=14 TINY to y x1
t=15 TINY removed
