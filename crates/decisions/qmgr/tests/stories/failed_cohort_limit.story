# destination_concurrency_failed_cohort_limit 3: so many cohorts may fail.
show deliver finish
set initial_destination_concurrency 1
set default_destination_concurrency_failed_cohort_limit 3
t=0 site x dead
t=0 arrive A x200 to=x
until 100
---
t=0 A to x x50
t=1 A to x x50
t=2 A to x x50
t=3 A deferred for 300s
