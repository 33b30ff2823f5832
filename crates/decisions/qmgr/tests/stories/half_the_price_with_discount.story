# See half_the_price_is_enough: delivery_slot_discount 50.
show finish
process smtp 1
set smtp_destination_recipient_limit 1
set default_delivery_slot_loan 0
set default_delivery_slot_discount 50
t=0 arrive BIG x100 to=x
t=0.5 arrive SMALL x4 to=y
until 200
---
t=14 SMALL removed
t=104 BIG removed
