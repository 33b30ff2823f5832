# delivery_slot_loan 0 and delivery_slot_discount 0: a job of 4 entries waits until 20 entries are delivered; with a discount
# of 50 percent (the next story) until 10.
show finish
process smtp 1
set smtp_destination_recipient_limit 1
set default_delivery_slot_loan 0
set default_delivery_slot_discount 0
t=0 arrive BIG x100 to=x
t=0.5 arrive SMALL x4 to=y
until 200
---
t=24 SMALL removed
t=104 BIG removed
