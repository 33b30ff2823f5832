# transport_rate_delay: a pause between the deliveries of a transport, whatever their destinations.
show deliver finish
set default_transport_rate_delay 5s
t=0 arrive A x4 to=a,b,c,d
---
t=0 A to a x1
t=5 A to b x1
t=10 A to c x1
t=15 A to d x1
t=16 A removed
