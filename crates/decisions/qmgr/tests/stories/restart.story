# Killed in the middle: what is marked is not delivered again, what was in flight is. The predecessor's active mail goes back
# to incoming and is found there.
show deliver finish
set default_destination_recipient_limit 2
set initial_destination_concurrency 1
set default_destination_concurrency_limit 1
t=0 arrive A x6 to=x
t=1.5 restart
---
t=0 A to x x2
t=1 A to x x2
t=1.5 A to x x2
t=2.5 A to x x2
t=3.5 A removed
