# A small message does not wait for a mailing to a thousand recipients that came before it: it preempts the job when that
# has earned slots (SCHEDULER_README, preemption). Every site differs, so that only processes are scarce.
show finish
process smtp 2
set smtp_destination_recipient_limit 1
t=0 arrive BIG x200 to=x
t=10.5 arrive SMALL x2 to=y
until 150
---
t=12 SMALL removed
t=101 BIG removed
