# Negative feedback 1 with a cohort limit out of reach: each failure takes one from the concurrency.
show deliver finish
set initial_destination_concurrency 4
set default_destination_concurrency_failed_cohort_limit 100
set default_destination_concurrency_limit 4
set smtp_destination_recipient_limit 2
t=0 site x dead
t=0 arrive A x20 to=x
until 100
---
t=0 A to x x2
t=0 A to x x2
t=0 A to x x2
t=0 A to x x2
t=1 A to x x2
t=2 A to x x2
t=3 A to x x2
t=4 A to x x2
t=5 A to x x2
t=6 A to x x2
t=7 A deferred for 300s
