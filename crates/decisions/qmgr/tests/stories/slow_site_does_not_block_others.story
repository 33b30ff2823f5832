# Jobs whose site has no room are passed over: a slow site costs only its own mail.
show finish
set default_destination_concurrency_limit 2
set initial_destination_concurrency 2
process smtp 10
t=0 site slow ok 100
t=0 arrive A x500 to=slow
t=0 arrive B x10 to=fast
t=0 arrive C x10 to=slow,fast
until 150
---
t=1 B removed
