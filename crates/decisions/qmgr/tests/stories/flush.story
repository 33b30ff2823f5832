# postqueue -f tries everything at once, dead sites included; postqueue -i one message.
show deliver finish
set initial_destination_concurrency 1
t=0 site x dead
t=0 arrive A to=x
t=0 arrive B to=x
t=50 site x ok
t=60 flush A
t=100 flush
until 200
---
t=0 A to x x1
t=1 A deferred for 300s
t=1 B deferred for 300s
t=60 A to x x1
t=61 A removed
t=100 B to x x1
t=101 B removed
