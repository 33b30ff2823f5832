# delay_warning_time: the sender is told once.
show finish
set delay_warning_time 400s
t=0 site x later
t=0 arrive A to=x
t=0 warn A 400
until 3000
---
t=1 A deferred for 300s
t=301 A deferred for 301s
t=901 A Delay notice x1
t=901 A deferred for 901s
t=2101 A deferred for 2101s
