# Files that are opened at the same time leave each other room: the eighth of eight messages is not read ten recipients at a
# time (qmgr_message_recipient_minimum), as if the active queue were full, but is sent as the first one is.
show deliver
set qmgr_message_recipient_limit 20000
set default_destination_concurrency_limit 20
t=0 site x ok
t=0 arrive M*8 x51 to=x
until 10
---
t=0 M01 to x x50
t=0 M01 to x x1
t=0 M02 to x x50
t=0 M02 to x x1
t=0 M03 to x x50
t=1 M03 to x x1
t=1 M04 to x x50
t=1 M04 to x x1
t=1 M05 to x x50
t=1 M05 to x x1
t=1 M06 to x x50
t=1 M06 to x x1
t=1 M07 to x x50
t=1 M07 to x x1
t=1 M08 to x x50
t=2 M08 to x x1
