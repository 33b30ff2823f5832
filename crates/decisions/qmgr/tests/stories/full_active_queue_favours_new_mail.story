# When the active queue is full, new mail gets the next place: a backlog of deferred mail cannot hold it up.
show deliver
set qmgr_message_active_limit 2
set qmgr_message_recipient_limit 2
t=0 site x later 0
t=0 arrive D1 to=x
t=0 arrive D2 to=x
t=0 arrive D3 to=x
t=300 site x ok
t=300 arrive N1 to=x quietly
t=300 arrive N2 to=x quietly
t=300 arrive N3 to=x quietly
until 320
---
t=0 D1 to x x1
t=0 D2 to x x1
t=0 D3 to x x1
t=300 N1 to x x1
t=300 N2 to x x1
t=301 N3 to x x1
t=301 D1 to x x1
t=302 D2 to x x1
t=302 D3 to x x1
