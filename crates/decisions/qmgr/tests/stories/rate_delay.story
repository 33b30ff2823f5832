# destination_rate_delay: one delivery at a time, and a pause after each.
show deliver finish
set default_destination_rate_delay 10s
set default_destination_recipient_limit 2
t=0 arrive A x6 to=x
---
t=0 A to x x2
t=11 A to x x2
t=22 A to x x2
t=23 A removed
