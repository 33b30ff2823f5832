# The wait doubles with the age: as long as the message is old, within minimal_backoff_time and maximal_backoff_time;
# deferred mail is looked for every queue_run_delay.
show deliver finish
t=0 site x later
t=0 arrive A to=x
until 20000
---
t=0 A to x x1
t=1 A deferred for 300s
t=300 A to x x1
t=301 A deferred for 301s
t=900 A to x x1
t=901 A deferred for 901s
t=2100 A to x x1
t=2101 A deferred for 2101s
t=4500 A to x x1
t=4501 A deferred for 4000s
t=8700 A to x x1
t=8701 A deferred for 4000s
t=12900 A to x x1
t=12901 A deferred for 4000s
t=17100 A to x x1
t=17101 A deferred for 4000s
