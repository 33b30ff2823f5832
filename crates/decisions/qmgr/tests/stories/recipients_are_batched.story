# A request holds at most destination_recipient_limit recipients, and initial_destination_concurrency requests run at once;
# each success lets one more run.
show deliver finish
set initial_destination_concurrency 2
t=0 arrive A x300 to=x
peak smtp:x
---
t=0 A to x x50
t=0 A to x x50
t=1 A to x x50
t=1 A to x x50
t=1 A to x x50
t=1 A to x x50
t=2 A removed
peak smtp:x 4
