# With feedback 1/concurrency the concurrency grows by one for each full cohort.
show deliver finish
set initial_destination_concurrency 2
set default_destination_concurrency_positive_feedback 1/concurrency
set default_destination_recipient_limit 2
t=0 arrive A x20 to=x
peak smtp:x
---
t=0 A to x x2
t=0 A to x x2
t=1 A to x x2
t=1 A to x x2
t=1 A to x x2
t=2 A to x x2
t=2 A to x x2
t=2 A to x x2
t=2 A to x x2
t=3 A to x x2
t=4 A removed
peak smtp:x 4
